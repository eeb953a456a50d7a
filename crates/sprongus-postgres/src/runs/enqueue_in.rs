//! Enqueue as part of a transaction of the caller's own: the run is there if, and only if, what it belongs to is.

use sprongus_core::rules::enqueue::{out_of_reach, prepare};
use sprongus_core::run::{Due, Enqueue, NewRun};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};
use tokio_postgres::Transaction;
use tokio_postgres::types::ToSql;

use crate::error::DbError;
use crate::rows::values::{JsonText, Time, uuid};
use crate::rows::{RowReader, millis, restricted_to, small};
use crate::schema::migrate::check_schema;

/// `{schema}` is put in.
const ENQUEUE: &str = "
    SELECT run_id, outcome FROM {schema}.enqueue(kind => $1, input => $2::jsonb, project_id => $3, agent_task_id => $4,
        idempotency_key => $5, max_attempts => $6, priority => $7, run_at => $8, delay_ms => $9, expire_at => $10,
        tags => $11::jsonb, id => $12, workspace => $13, actor => $14, traceparent => $15)";

/// Which projects the function is to keep to, if the caller is restricted to some.
const NARROW: &str = "SELECT set_config('sprongus.projects', coalesce($1::text[]::text, ''), true)";

/// Makes a run in a transaction that the caller began, or finds the one that the same key, or id, and request had made. Workers hear
/// of it at the commit; rolled back, it was never there. `schema` is the one that was migrated, `sprongus` unless said otherwise.
///
/// The transaction's role needs EXECUTE on the function `enqueue` and USAGE on its schema (docs/sql.md), and its settings are as
/// before. After an error the transaction can only be rolled back, to a savepoint or as a whole.
///
/// # Errors
/// `validation`, `payload_too_large`, `secret_in_input`, `idempotency_key_reused`, `conflict`, `not_found` as
/// [`Runs::enqueue`](sprongus_core::runs::Runs::enqueue); `forbidden` for a role without the rights; `unavailable` when the
/// connection is gone.
pub async fn enqueue_in(
    transaction: &Transaction<'_>,
    schema: &str,
    caller: &Caller,
    new: &NewRun,
) -> Result<(RunId, Enqueue)> {
    check_schema(schema)?;
    let request = prepare(new, caller.traceparent.as_deref())?;
    if !caller.may_touch(request.project_id.as_ref()) {
        return Err(out_of_reach(request.project_id.as_ref()));
    }
    let tags = serde_json::to_string(&new.tags)
        .map_err(|error| Error::internal("tags cannot be written").with_source(error))?;
    let (due, delay) = match new.due {
        Due::Now => (None, None),
        Due::At(time) => (Some(Time(time)), None),
        Due::After(delay) => (None, Some(millis(delay))),
    };
    let most = new.max_attempts.or(new.declared_max_attempts).map(small);
    let priority = new.priority.map(small);
    let id = uuid(request.id.to_bits());
    let params: [&(dyn ToSql + Sync); 15] = [
        &new.kind,
        &JsonText(request.input.as_str()),
        &new.project_id,
        &new.agent_task_id,
        &new.idempotency_key,
        &most,
        &priority,
        &due,
        &delay,
        &new.expire_at.map(Time),
        &JsonText(&tags),
        &id,
        &caller.workspace.as_str(),
        &caller.actor.as_str(),
        &request.traceparent,
    ];
    let text = ENQUEUE.replace("{schema}", schema);
    let (restricted, everything) = (restricted_to(caller), Option::<Vec<&str>>::None);
    if restricted.is_some() {
        transaction.execute(NARROW, &[&restricted]).await.map_err(refusal)?;
    }
    let row = transaction.query_one(&text, &params).await.map_err(refusal)?;
    if restricted.is_some() {
        transaction.execute(NARROW, &[&everything]).await.map_err(refusal)?;
    }
    let mut row = RowReader::new(&row);
    let (run, outcome): (u128, &str) = (row.bits()?, row.value()?);
    let outcome = if outcome == "created" { Enqueue::Created } else { Enqueue::Existing };
    Ok((RunId::from_bits(run), outcome))
}

/// What the function refuses in the contract's words; whatever else went wrong as from every other statement.
fn refusal(error: tokio_postgres::Error) -> Error {
    let refused = error.as_db_error().filter(|said| said.code().code().starts_with("SP")).and_then(|said| {
        let detail: serde_json::Value = serde_json::from_str(said.detail()?).ok()?;
        let code = ErrorCode::ALL.into_iter().find(|code| detail["code"] == code.as_str())?;
        Some(
            Error::new(code, said.message().to_owned()).with_hint(said.hint().unwrap_or_default().to_owned()),
        )
    });
    refused.unwrap_or_else(|| DbError::from(error).into())
}
