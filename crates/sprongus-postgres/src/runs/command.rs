//! A command for one run, or a rule over several: read under locks, ask, write.

use std::collections::{BTreeMap, HashMap};

use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::Event;
use sprongus_core::run::{Applied, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::Rule;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;

use crate::connection::retry::Idempotent;
use crate::connection::session::{Database, Session};
use crate::error::Result;
use crate::rows::number;
use crate::rows::values::{JsonText, uuid};
use crate::runs::load::{lock, missing, waiting_steps};
use crate::runs::write_set::SetWriter;

pub(crate) const LAST_EVENT: &str = "
    SELECT 1 FROM single_events WHERE run_id = $1 AND seq = $2 AND type = $3 AND actor = $4 AND payload = $5";

/// Whether a command may be carried out once more when nobody knows whether it was. Another retry grants another budget, and another answer
/// may meet the next gate.
pub fn idempotent(command: &RunCommand) -> Idempotent {
    match command {
        RunCommand::Retry { if_epoch: None } | RunCommand::Answer { step_id: None, .. } => Idempotent::No,
        RunCommand::Cancel
        | RunCommand::Retry { if_epoch: Some(_) }
        | RunCommand::Answer { step_id: Some(_), .. }
        | RunCommand::Wait { .. }
        | RunCommand::Progress { .. }
        | RunCommand::Cleaned { .. } => Idempotent::Yes,
    }
}

/// Carries out the command. Progress alone may be reported twice; of a call that is made once more because its connection broke
/// (`is_retry`), the run's last event says whether it was heard.
pub async fn run(
    database: &Database,
    caller: &Caller,
    id: RunId,
    command: &RunCommand,
    is_retry: bool,
) -> Result<Applied> {
    let mut session = database.session().await?;
    let (mut runs, now) = lock(database, &mut session, caller, &[id]).await?;
    let run = match runs.remove(&id).filter(|run| caller.may_touch(run.project_id.as_ref())) {
        Some(run) => run,
        None => {
            session.roll_back().await?;
            return Err(missing(id).into());
        }
    };
    let waits_at = waiting_steps(&session, caller, [&run]).await?.remove(&id);
    let set = match command.decide(&run, waits_at.as_ref(), Act { now, actor: &caller.actor }) {
        Ok(set) => set,
        Err(refused) => {
            session.roll_back().await?;
            return Err(refused.into());
        }
    };
    let was_applied = is_retry
        && matches!(command, RunCommand::Progress { .. })
        && is_last_event(&session, &run, set.events().last()).await?;
    if set.is_empty() || was_applied {
        session.roll_back().await?;
        return Ok(Applied { run, events: Vec::new() });
    }
    let before = HashMap::from([(id, run)]);
    write(session, caller, now, &before, &set).await?;
    let run = before.into_values().next().ok_or_else(|| missing(id))?;
    Ok(set.into_applied(run))
}

/// Asks the rule, and writes what it answers.
pub async fn decide(database: &Database, caller: &Caller, ids: &[RunId], rule: &Rule) -> Result<WriteSet> {
    let mut session = database.session().await?;
    let (runs, now) = lock(database, &mut session, caller, ids).await?;
    let known: BTreeMap<RunId, Run> = runs
        .iter()
        .filter(|(_, run)| caller.may_touch(run.project_id.as_ref()))
        .map(|(id, run)| (*id, run.clone()))
        .collect();
    match rule(&known, Act { now, actor: &caller.actor }) {
        Ok(set) => {
            write(session, caller, now, &runs, &set).await?;
            Ok(set)
        }
        Err(refused) => {
            session.roll_back().await?;
            Err(refused.into())
        }
    }
}

async fn write(
    session: Session,
    caller: &Caller,
    now: Timestamp,
    before: &HashMap<RunId, Run>,
    set: &WriteSet,
) -> Result<()> {
    let mut writer = SetWriter::new(caller, now);
    writer.write(before, set)?;
    writer.commit(session, &[]).await
}

/// Whether the last event of a run says what `event` would.
async fn is_last_event(session: &Session, run: &Run, event: Option<&Event>) -> Result<bool> {
    let Some(event) = event else { return Ok(false) };
    let (id, seq) = (uuid(run.id.to_bits()), number(run.last_seq));
    let (kind, actor, payload) =
        (event.kind.as_str(), event.actor.as_str(), JsonText(event.payload.as_str()));
    Ok(!session.query(LAST_EVENT, &[&id, &seq, &kind, &actor, &payload]).await?.is_empty())
}
