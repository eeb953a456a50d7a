//! Kinds that somebody paused or resumed.

use sprongus_core::runs::Caller;
use sprongus_core::values::names::Kind;
use sprongus_core::workspace::directory::KindSetting;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::clock::now_sql;
use crate::connection::session::{Database, Params};
use crate::directory::{KNOWN_WORKSPACE, check_workspace};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::{self, RowReader};

macro_rules! kind {
    () => {
        "SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = $1 AND kind = $2"
    };
}

const KINDS: &str = "
    SELECT kind, paused, changed_at, changed_by FROM kinds WHERE workspace_id = $1 ORDER BY kind COLLATE \"C\"";
const KIND: &str = kind!();
const KIND_TO_SET: &str = concat!(kind!(), " FOR UPDATE");
const PAUSE: &str = concat!(
    "INSERT INTO kinds AS k (workspace_id, kind, paused, changed_at, changed_by) SELECT $1, $2, $3, ",
    now_sql!("$4"),
    ", $5 WHERE EXISTS (SELECT FROM workspaces WHERE id = $1)
    ON CONFLICT (workspace_id, kind) DO UPDATE SET paused = excluded.paused, changed_at = excluded.changed_at,
        changed_by = excluded.changed_by WHERE k.paused <> excluded.paused RETURNING kind"
);

fn kind_setting(row: &mut RowReader<'_>) -> Result<KindSetting> {
    Ok(KindSetting {
        kind: row.parse()?,
        paused: row.value()?,
        changed_at: row.optional_time()?,
        changed_by: row.value()?,
    })
}

/// The kinds somebody paused or resumed.
pub async fn list(database: &Database, caller: &Caller) -> Result<Vec<KindSetting>> {
    let [found] = database.read(&caller.workspace, [(KINDS, &[&caller.workspace.as_str()])]).await?;
    rows::all(&found, kind_setting)
}

/// Pauses a kind, or resumes it.
pub async fn pause(database: &Database, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
    let (workspace, name, clock) = (caller.workspace.as_str(), kind.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 4] = [
        (KNOWN_WORKSPACE, &[&workspace]),
        (KIND_TO_SET, &[&workspace, &name]),
        (PAUSE, &[&workspace, &name, &paused, &clock, &caller.actor]),
        (KIND, &[&workspace, &name]),
    ];
    let mut session = database.session().await?;
    let [known, before, changed, after] = session.begin_with(&caller.workspace, asked).await?;
    if let Err(unknown) = check_workspace(caller, &known) {
        return session.refuse(unknown).await;
    }
    let (before, setting) = (rows::first(&before, kind_setting)?, rows::only(&after, kind_setting)?);
    // Where nobody had set it yet, somebody else may have been first.
    let act = OperatorAct::kind_set(kind, before.as_ref(), paused).filter(|_| !changed.is_empty());
    commit(session, caller, act.zip(setting.changed_at)).await?;
    Ok(setting)
}
