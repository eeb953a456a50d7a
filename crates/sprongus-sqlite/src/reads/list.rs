//! Lists, newest or oldest first, each a walk along the index that its filter asks for.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sprongus_core::Result;
use sprongus_core::run::Run;
use sprongus_core::run::list::{ListFilter, Page, Position};
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;

use crate::rows::{self, run_columns};

/// A page of runs, newest first or oldest first, along the index its filter asks for.
pub fn list(
    connection: &Connection,
    caller: &Caller,
    filter: &ListFilter,
    now: Timestamp,
) -> Result<Page<Run>> {
    let position = filter.position(&caller.workspace)?;
    let (sql, params) = list_statement(caller, filter, position, now)?;
    let mut data = rows::all(connection, &sql, params_from_iter(params), rows::run)?;
    let more = data.len() > filter.limit as usize;
    data.truncate(filter.limit as usize);
    let last = data.last().filter(|_| more);
    let next_cursor = last.map(|run| {
        filter.cursor_behind(&caller.workspace, Position { created_at: run.created_at, id: run.id })
    });
    Ok(Page { data, next_cursor })
}

/// The statement of a list. Several states or kinds are a union of walks, merged: one walk over all of them would sort what it
/// finds, and a filter without its index would read all there is.
pub(crate) fn list_statement(
    caller: &Caller,
    filter: &ListFilter,
    position: Option<Position>,
    now: Timestamp,
) -> Result<(String, Vec<Value>)> {
    let mut query = Query { conditions: Vec::new(), params: Vec::new() };
    query.add("workspace_id = ?", caller.workspace.as_str());
    if let Some(project) = &filter.project_id {
        query.add("project_id = ?", project.as_str());
    }
    if let Some(projects) = &caller.projects {
        query.add("project_id IN (SELECT value FROM json_each(?))", rows::to_json(projects)?);
    }
    if let Some(task) = &filter.agent_task_id {
        query.add("agent_task_id = ?", task.as_str());
    }
    if let Some(schedule) = &filter.schedule_id {
        query.add("schedule_id = ?", schedule.as_str());
    }
    for (name, value) in &filter.tags {
        query.add("EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ?", name.as_str());
        query.add_to_last(" AND value = ?)", value.as_str());
    }
    if let Some(since) = filter.since {
        query.add("created_at >= ?", since.to_string());
    }
    if let Some(before) = filter.before {
        query.add("created_at < ?", before.to_string());
    }
    if let Some(part) = &filter.id {
        let length = part.as_str().len();
        query.add(&format!("(substr(id, 1, {length}) = ?"), part.as_str());
        query.add_to_last(&format!(" OR substr(id, -{length}) = ?)"), part.as_str());
    }
    let (direction, comparison) = if filter.oldest_first { ("ASC", ">") } else { ("DESC", "<") };
    if let Some(Position { created_at, id }) = position {
        query.add(&format!("(created_at, id) {comparison} (?"), created_at.to_string());
        query.add_to_last(", ?)", id.to_string());
    }
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
    let order = format!("ORDER BY created_at {direction}, id {direction} LIMIT {}", filter.limit + 1);
    let Some(reason) = filter.waiting else { return Ok(query.walks("runs", &states, &kinds, &order)) };
    const NO_GATE: &str = "(gate IS NULL OR json_extract(gate, '$.answer') IS NOT NULL)";
    const PAUSED: &str = "EXISTS (SELECT 1 FROM kinds k WHERE k.workspace_id = runs.workspace_id AND k.kind = runs.kind AND k.paused)";
    let conditions = match reason {
        Reason::Gate => {
            // In the words of the index's own condition, without which it is not taken.
            let at_gate = "state = 'queued' AND gate IS NOT NULL AND json_extract(gate, '$.answer') IS NULL";
            query.conditions.push(at_gate.to_owned());
            return Ok(query.walks("runs INDEXED BY runs_at_gates", &[], &kinds, &order));
        }
        Reason::Time => format!("{NO_GATE} AND run_at > ?"),
        Reason::KindPaused => format!("{NO_GATE} AND {PAUSED} AND run_at <= ?"),
        Reason::Worker => format!("{NO_GATE} AND NOT {PAUSED} AND run_at <= ?"),
    };
    query.add(&conditions, now.to_string());
    Ok(query.walks("runs", &[State::Queued.as_str()], &kinds, &order))
}

/// Conditions and what they are bound to, in step.
struct Query {
    conditions: Vec<String>,
    params: Vec<Value>,
}

impl Query {
    fn add(&mut self, condition: &str, value: impl Into<String>) {
        self.conditions.push(condition.to_owned());
        self.params.push(Value::Text(value.into()));
    }

    fn add_to_last(&mut self, rest: &str, value: impl Into<String>) {
        if let Some(last) = self.conditions.last_mut() {
            last.push_str(rest);
        }
        self.params.push(Value::Text(value.into()));
    }

    /// One walk for each state, or for each kind where no state is asked for; the other is a filter on the way.
    fn walks(self, table: &str, states: &[&str], kinds: &[&str], order: &str) -> (String, Vec<Value>) {
        let (column, walked, filtered) =
            if states.is_empty() { ("kind", kinds, &[][..]) } else { ("state", states, kinds) };
        let mut conditions = self.conditions.join(" AND ");
        let mut params = self.params;
        if !filtered.is_empty() {
            let marks = vec!["?"; filtered.len()].join(", ");
            conditions.push_str(&format!(" AND +kind IN ({marks})"));
            params.extend(filtered.iter().map(|value| Value::Text((*value).to_owned())));
        }
        let select = format!(concat!("SELECT ", run_columns!(), " FROM {} WHERE "), table);
        if walked.is_empty() {
            return (format!("{select}{conditions} {order}"), params);
        }
        let mut parts = Vec::with_capacity(walked.len());
        let mut all = Vec::new();
        for value in walked {
            parts.push(format!("SELECT * FROM ({select}{conditions} AND {column} = ? {order})"));
            all.extend(params.iter().cloned());
            all.push(Value::Text((*value).to_owned()));
        }
        (format!("{} {order}", parts.join(" UNION ALL ")), all)
    }
}
