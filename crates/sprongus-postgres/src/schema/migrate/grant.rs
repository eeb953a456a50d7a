//! What the server's role may do: what the server needs, and no more. It deletes no run and no event, changes no event and of no token what it
//! allows, and crosses workspaces only by the owner's functions.

use sprongus_core::{Error, ErrorCode};
use tokio_postgres::Client;

use crate::error::Result;
use crate::rows::RowReader;

const ROLE: &str = "SELECT quote_ident(rolname), rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1";

/// `{schema}` and `{role}` are put in; each line is one statement. What an earlier version granted too widely goes first.
const GRANTS: &[&str] = &[
    "REVOKE UPDATE ON {schema}.api_tokens FROM {role}",
    "REVOKE SELECT ON SEQUENCE {schema}.run_events_pos_seq FROM {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT ON {schema}.schema_migrations TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON {schema}.runs, {schema}.run_steps, {schema}.run_logs, {schema}.projects,
        {schema}.agent_tasks TO {role}",
    "GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON {schema}.api_tokens TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.run_queue, {schema}.run_timers, {schema}.workers, {schema}.kinds,
        {schema}.claims, {schema}.settings, {schema}.run_artifacts, {schema}.unwanted_blobs TO {role}",
    "GRANT SELECT, INSERT, DELETE ON {schema}.sessions TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.run_minutes, {schema}.run_totals, {schema}.run_spans,
        {schema}.run_recent, {schema}.rolled_up TO {role}",
    "GRANT SELECT, INSERT ON {schema}.run_events, {schema}.single_events, {schema}.event_batches, {schema}.batch_successes,
        {schema}.operator_events, {schema}.workspaces TO {role}",
    "GRANT USAGE ON SEQUENCE {schema}.run_events_pos_seq TO {role}",
    "GRANT EXECUTE ON FUNCTION {schema}.token_by_hash(text), {schema}.session_by_hash(text), {schema}.workspaces_with_work(integer),
        {schema}.every_workspace(), 
        {schema}.prune_kinds(text, text, timestamptz, text[], timestamptz[], text[], integer),
        {schema}.drop_workspace(text, text) TO {role}",
    "GRANT SELECT ON {schema}.runner_jobs, {schema}.job_steps, {schema}.job_events TO {role}",
    "GRANT EXECUTE ON FUNCTION {schema}.ulid, {schema}.event_id, {schema}.enqueue, {schema}.enqueue_many,
        {schema}.measure_tables TO {role}",
];

/// Roles that served before, by what every version has granted them. One that was given more by hand keeps it.
const SERVED: &str = "
    SELECT DISTINCT r.rolname::text FROM pg_class c, aclexplode(c.relacl) AS given JOIN pg_roles r ON r.oid = given.grantee
    WHERE c.oid = to_regclass($1 || '.run_queue') AND given.privilege_type = 'INSERT' AND given.grantee <> c.relowner
        AND NOT r.rolsuper AND NOT r.rolbypassrls ORDER BY 1";

/// Grants what a server needs to the roles that served before, so that they go on serving.
pub async fn grant_again(client: &Client, schema: &str) -> Result<()> {
    for row in client.query(SERVED, &[&schema]).await? {
        grant(client, schema, RowReader::new(&row).value()?).await?;
    }
    Ok(())
}

/// Grants `role` what a server needs.
///
/// # Errors
/// `not_found` when there is no such role; `forbidden` when the role bypasses row-level security, or the caller does not own the
/// schema.
pub async fn grant(client: &Client, schema: &str, role: &str) -> Result<()> {
    let Some(row) = client.query_opt(ROLE, &[&role]).await? else {
        return Err(Error::not_found("role on this database server, as given with --role")
            .with_hint("create it with CREATE ROLE … LOGIN, then run this again")
            .into());
    };
    let mut row = RowReader::new(&row);
    let (quoted, bypasses): (String, bool) = (row.value()?, row.value()?);
    if bypasses {
        let message = "the role given with --role bypasses row-level security";
        return Err(Error::new(ErrorCode::Forbidden, message)
            .with_hint("use a role that is neither superuser nor BYPASSRLS")
            .into());
    }
    for grant in GRANTS {
        client.batch_execute(&grant.replace("{schema}", schema).replace("{role}", &quoted)).await?;
    }
    Ok(())
}
