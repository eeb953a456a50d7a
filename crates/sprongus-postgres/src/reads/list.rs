//! Lists, newest or oldest first. Each is a walk along an index: those that succeeded along the lists of their successes, those that failed or were
//! canceled along the cursor they carry, those that live through the narrow tables while these are small, all others along their age.
//! A walk that has to pass over what a filter leaves out ends after a while; the page is short then, and its cursor goes on there.

use sprongus_core::run::Run;
use sprongus_core::run::list::{ListFilter, Page, Position};
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::connection::session::{Database, Params, Session};
use crate::error::Result;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, RowReader, run_columns, to_json};

use page::{page, sooner};

mod page;

/// The most rows a walk passes over on its way to one page.
const MOST_PASSED: i64 = 20_000;

/// With no more live runs than this, a list of them is made of the narrow tables.
const FEW: usize = 2_000;

const QUEUED: &str = "
    SELECT id FROM (SELECT id FROM run_queue WHERE workspace_id = $1 LIMIT $2) AS queued
    UNION ALL
    SELECT id FROM (SELECT unnest(run_ids) AS id FROM run_timers WHERE workspace_id = $1 LIMIT $2) AS timed
    UNION ALL
    SELECT id FROM (SELECT id FROM runs WHERE workspace_id = $1 AND blocked_on IS NOT NULL LIMIT $2) AS blocked";

/// No lease is longer than an hour (contract), so what is due later is a delay, however many of those there are. The clock is asked in a
/// subquery: bare in a condition it bounds no index, and the walk goes over all of them.
const RUNNING: &str = "
    SELECT unnest(run_ids) AS id FROM run_timers
    WHERE workspace_id = $1 AND due_at <= (SELECT coalesce($3::timestamptz, clock_timestamp()) + interval '1 hour') LIMIT $2";

pub(crate) type Bound = Box<dyn ToSql + Sync + Send>;

/// What one walk goes along.
#[derive(Clone, Debug)]
pub(crate) enum Walk {
    /// All runs, or those of a schedule, a project, an agent task or a kind, along their age.
    Age { kind: Option<String> },
    /// Those whose success has an event of its own.
    Success,
    /// Those that succeeded in a batch.
    BatchSuccess,
    /// Those that failed, or were canceled.
    BadEnd(State),
    /// These, looked at one by one.
    Named(State, Vec<Uuid>),
    /// Those that live, found among all along their age.
    Live(State),
    /// Those that wait at a gate, along an index of them.
    Gates,
}

/// A page.
pub async fn list(database: &Database, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
    let position = filter.position(&caller.workspace)?;
    let mut session = database.session().await?;
    let clock = database.clock_override();
    let walks = walks(&mut session, caller, clock, filter).await?;
    let mut found: Vec<Run> = Vec::new();
    let mut end: Option<Position> = None;
    for walk in walks {
        let (sql, params) = statement(caller, filter, position, clock, &walk)?;
        let rows = read(&mut session, caller, &sql, &params).await?;
        let is_cut = rows.len() <= filter.limit as usize && passes_over(caller, filter, &walk);
        found.extend(rows::all(&rows, rows::run)?);
        if is_cut {
            let (sql, params) = cut(caller, filter, position, &walk)?;
            if let Some(reached) =
                rows::first(&read(&mut session, caller, &sql, &params).await?, position_of)?
            {
                end = Some(end.map_or(reached, |end| sooner(filter, end, reached)));
            }
        }
    }
    Ok(page(caller, filter, found, end))
}

fn position_of(row: &mut RowReader<'_>) -> Result<Position> {
    Ok(Position { created_at: row.time()?, id: RunId::from_bits(row.bits()?) })
}

async fn walks(
    session: &mut Session,
    caller: &Caller,
    clock: Option<Time>,
    filter: &ListFilter,
) -> Result<Vec<Walk>> {
    if filter.waiting == Some(Reason::Gate) {
        return Ok(vec![Walk::Gates]);
    }
    if filter.states.is_empty() && filter.waiting.is_none() {
        let along_kinds =
            filter.project_id.is_none() && filter.agent_task_id.is_none() && filter.schedule_id.is_none();
        return Ok(match filter.kinds.as_slice() {
            [] => vec![Walk::Age { kind: None }],
            kinds if along_kinds => {
                kinds.iter().map(|kind| Walk::Age { kind: Some(kind.as_str().to_owned()) }).collect()
            }
            _ => vec![Walk::Age { kind: None }],
        });
    }
    let mut walks = Vec::new();
    let states = if filter.waiting.is_some() { &[State::Queued][..] } else { &filter.states };
    for &state in states {
        match state {
            State::Succeeded => walks.extend([Walk::Success, Walk::BatchSuccess]),
            State::Failed | State::Canceled => walks.push(Walk::BadEnd(state)),
            State::Queued | State::Running => {
                walks.push(match few(session, caller, clock, state).await? {
                    Some(ids) => Walk::Named(state, ids),
                    None => Walk::Live(state),
                });
            }
        }
    }
    Ok(walks)
}

/// The live runs, if they are few. Running ones stand among the timers alone.
async fn few(
    session: &mut Session,
    caller: &Caller,
    clock: Option<Time>,
    state: State,
) -> Result<Option<Vec<Uuid>>> {
    let (workspace, most) = (caller.workspace.as_str(), i64::try_from(FEW + 1).unwrap_or(i64::MAX));
    let (queued, running): (Params<'_>, Params<'_>) = (&[&workspace, &most], &[&workspace, &most, &clock]);
    let asked = if state == State::Queued { [(QUEUED, queued)] } else { [(RUNNING, running)] };
    let [live] = session.read(&caller.workspace, asked).await?;
    if live.len() > FEW {
        return Ok(None);
    }
    Ok(Some(rows::all(&live, |row| row.value())?))
}

async fn read(session: &mut Session, caller: &Caller, sql: &str, params: &[Bound]) -> Result<Vec<Row>> {
    let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| param.as_ref() as _).collect();
    let [rows] = session.read(&caller.workspace, [(sql, &params[..])]).await?;
    Ok(rows)
}

/// Conditions and what they are bound to, in step.
#[derive(Default)]
struct Query {
    conditions: Vec<String>,
    params: Vec<Bound>,
}

impl Query {
    fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.params.push(Box::new(value));
        format!("${}", self.params.len())
    }

    fn text(&self) -> String {
        self.conditions.join(" AND ")
    }
}

/// Whether anything but the walk's own index decides what is on the page.
fn passes_over(caller: &Caller, filter: &ListFilter, walk: &Walk) -> bool {
    let narrowed = caller.projects.is_some() || !filter.tags.is_empty() || filter.id.is_some();
    let owners = [filter.project_id.is_some(), filter.agent_task_id.is_some(), filter.schedule_id.is_some()];
    let owners = owners.into_iter().filter(|is_given| *is_given).count();
    let (by_two, by_owner) = (owners > 1, owners > 0 || !filter.kinds.is_empty());
    match walk {
        Walk::Age { kind: Some(_) } => narrowed,
        Walk::Age { kind: None } => narrowed || by_two || !filter.kinds.is_empty(),
        Walk::Success | Walk::BatchSuccess | Walk::BadEnd(_) => narrowed || by_owner,
        Walk::Named(..) => false,
        Walk::Live(_) | Walk::Gates => true,
    }
}

/// Places in the order of the list, along one index: what `FROM` it walks, under which conditions.
fn walked(
    query: &mut Query,
    caller: &Caller,
    filter: &ListFilter,
    position: Option<Position>,
    walk: &Walk,
) -> String {
    let (table, id) = match walk {
        Walk::Success => ("single_events e JOIN runs r ON r.id = e.run_id", "e.run_id"),
        Walk::BatchSuccess => ("batch_successes e JOIN runs r ON r.id = e.run_id", "e.run_id"),
        Walk::Age { .. } | Walk::BadEnd(_) | Walk::Named(..) | Walk::Live(_) | Walk::Gates => {
            ("runs r", "r.id")
        }
    };
    let at = age(walk);
    let workspace = query.bind(caller.workspace.as_str().to_owned());
    match walk {
        Walk::Success => {
            query.conditions.push(format!("e.workspace_id = {workspace} AND e.type = 'run.succeeded'"));
        }
        Walk::BatchSuccess => query.conditions.push(format!("e.workspace_id = {workspace}")),
        Walk::Named(_, ids) => {
            let ids = query.bind(ids.clone());
            query.conditions.push(format!("r.workspace_id = {workspace} AND r.id = ANY ({ids})"));
        }
        Walk::Gates => {
            let at_gate = "r.gate IS NOT NULL AND (r.gate ->> 'answer') IS NULL";
            query.conditions.push(format!("r.workspace_id = {workspace} AND {at_gate}"));
        }
        Walk::Age { .. } | Walk::BadEnd(_) | Walk::Live(_) => {
            query.conditions.push(format!("r.workspace_id = {workspace}"));
        }
    }
    // Written as a range, which the planner takes for narrow, and in front of the order, which then no other index has: where nearly
    // all runs are of one kind an `=` is taken to leave nothing out, and the rare kind would be looked for along the age of all.
    let (of, its) = match lead(filter, walk) {
        Some((column, value)) => {
            let value = query.bind(value);
            query.conditions.push(format!("r.{column} >= {value} AND r.{column} <= {value}"));
            (format!("r.{column}, "), format!("{value}, "))
        }
        None => Default::default(),
    };
    let comparison = if filter.oldest_first { ">" } else { "<" };
    if let Some(since) = filter.since {
        let since = query.bind(Time(since));
        query.conditions.push(format!("({of}{at}) >= ({its}{since})"));
    }
    if let Some(before) = filter.before {
        let before = query.bind(Time(before));
        query.conditions.push(format!("({of}{at}) < ({its}{before})"));
    }
    if let Some(Position { created_at, id: last }) = position {
        let (created_at, last) = (query.bind(Time(created_at)), query.bind(uuid(last.to_bits())));
        query.conditions.push(format!("({of}{at}, {id}) {comparison} ({its}{created_at}, {last})"));
    }
    let conditions = query.text();
    query.conditions.clear();
    let order = order(filter, walk, "r.", at, id);
    format!("FROM {table} WHERE {conditions} ORDER BY {order}")
}

/// The column in front of the age in a walk's index, and what it holds.
fn lead(filter: &ListFilter, walk: &Walk) -> Option<(&'static str, String)> {
    match walk {
        Walk::Age { kind: Some(kind) } => Some(("kind", kind.clone())),
        Walk::Age { kind: None } => {
            let project = filter.project_id.as_ref().map(|id| ("project_id", id.as_str().to_owned()));
            let task = || filter.agent_task_id.as_ref().map(|id| ("agent_task_id", id.as_str().to_owned()));
            let schedule = filter.schedule_id.as_ref().map(|id| ("schedule_id", id.as_str().to_owned()));
            schedule.or(project).or_else(task)
        }
        Walk::BadEnd(state) => Some(("ended_as", state.as_str().to_owned())),
        Walk::Success | Walk::BatchSuccess | Walk::Named(..) | Walk::Live(_) | Walk::Gates => None,
    }
}

/// The order of a walk's index.
fn order(filter: &ListFilter, walk: &Walk, table: &str, at: &str, id: &str) -> String {
    let direction = if filter.oldest_first { "ASC" } else { "DESC" };
    let lead = lead(filter, walk).map(|(column, _)| format!("{table}{column} {direction}, "));
    format!("{}{at} {direction}, {id} {direction}", lead.unwrap_or_default())
}

/// What orders a walk.
fn age(walk: &Walk) -> &'static str {
    match walk {
        Walk::Success | Walk::BatchSuccess => "e.run_created_at",
        Walk::Age { .. } | Walk::BadEnd(_) | Walk::Named(..) | Walk::Live(_) | Walk::Gates => "r.created_at",
    }
}

/// A walk's statement: the walk, cut where it would be too long, and what of it is on the page.
pub(crate) fn statement(
    caller: &Caller,
    filter: &ListFilter,
    position: Option<Position>,
    clock: Option<Time>,
    walk: &Walk,
) -> Result<(String, Vec<Bound>)> {
    let mut query = Query::default();
    let walked = walked(&mut query, caller, filter, position, walk);
    match walk {
        Walk::Named(state, _) | Walk::Live(state) => {
            let state = query.bind(state.as_str());
            query.conditions.push(format!("state = {state}"));
        }
        Walk::Gates => query.conditions.push("state = 'queued'".to_owned()),
        Walk::Age { .. } | Walk::Success | Walk::BatchSuccess | Walk::BadEnd(_) => {}
    }
    if let Some(part) = &filter.id {
        // Ids that end nearly so are sifted out where the page is made.
        let end = query.bind(format!("%{}", part.hex_ending()));
        let ends = format!("replace(id::text, '-', '') LIKE {end}");
        let condition = match part.beginning() {
            Some((low, high)) => {
                let (low, high) = (query.bind(uuid(low.to_bits())), query.bind(uuid(high.to_bits())));
                format!("(id BETWEEN {low} AND {high} OR {ends})")
            }
            None => ends,
        };
        query.conditions.push(condition);
    }
    if let Some(reason) = filter.waiting {
        waits_for(&mut query, caller, clock, reason);
    }
    if let Some(projects) = &caller.projects {
        let projects = query.bind(projects.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>());
        query.conditions.push(format!("project_id = ANY ({projects})"));
    }
    if let Some(project) = &filter.project_id {
        let project = query.bind(project.as_str().to_owned());
        query.conditions.push(format!("project_id = {project}"));
    }
    if let Some(task) = &filter.agent_task_id {
        let task = query.bind(task.as_str().to_owned());
        query.conditions.push(format!("agent_task_id = {task}"));
    }
    if let Some(schedule) = &filter.schedule_id {
        let schedule = query.bind(schedule.as_str().to_owned());
        query.conditions.push(format!("schedule_id = {schedule}"));
    }
    // Said again of the kind that is walked along, it would bound the walk once more, by an `= ANY`, which keeps no order: all of the
    // kind would be read and sorted.
    if !filter.kinds.is_empty() && !matches!(walk, Walk::Age { kind: Some(_) }) {
        let kinds = query.bind(filter.kinds.iter().map(|kind| kind.as_str().to_owned()).collect::<Vec<_>>());
        query.conditions.push(format!("kind = ANY ({kinds})"));
    }
    if !filter.tags.is_empty() {
        let tags = query.bind(to_json(&filter.tags)?);
        query.conditions.push(format!("tags @> {tags}::text::jsonb"));
    }
    let conditions = if query.conditions.is_empty() { "true".to_owned() } else { query.text() };
    let most = filter.limit + 1;
    let limit =
        if passes_over(caller, filter, walk) { format!(" LIMIT {MOST_PASSED}") } else { String::new() };
    let (columns, at, order) = (run_columns!(), age(walk), order(filter, walk, "", "walked_at", "id"));
    // Ordered by what the walk itself goes along: by the run's own column a walk along events would be sorted, and so go to its end.
    let sql = format!(
        "SELECT {columns} FROM (SELECT r.*, {at} AS walked_at {walked}{limit}) AS walked WHERE {conditions} \
         ORDER BY {order} LIMIT {most}"
    );
    Ok((sql, query.params))
}

/// What a queued run waits for, as `sprongus_core::run::waiting::reason` has it.
fn waits_for(query: &mut Query, caller: &Caller, clock: Option<Time>, reason: Reason) {
    const NO_GATE: &str = "(gate IS NULL OR (gate ->> 'answer') IS NOT NULL)";
    if reason == Reason::Gate {
        // The walk goes along nothing else.
        return;
    }
    let now = format!("coalesce({}::timestamptz, clock_timestamp())", query.bind(clock));
    let workspace = query.bind(caller.workspace.as_str().to_owned());
    let paused = format!(
        "EXISTS (SELECT FROM kinds k WHERE k.workspace_id = {workspace}::text AND k.kind = walked.kind AND k.paused)"
    );
    query.conditions.push(match reason {
        Reason::Gate => return,
        Reason::Time => format!("{NO_GATE} AND run_at > {now} AND {workspace}::text IS NOT NULL"),
        Reason::KindPaused => format!("{NO_GATE} AND run_at <= {now} AND {paused}"),
        Reason::Worker => format!("{NO_GATE} AND run_at <= {now} AND NOT {paused}"),
    });
}

/// Where a walk was cut, if it was.
fn cut(
    caller: &Caller,
    filter: &ListFilter,
    position: Option<Position>,
    walk: &Walk,
) -> Result<(String, Vec<Bound>)> {
    let mut query = Query::default();
    let walked = walked(&mut query, caller, filter, position, walk);
    let last = MOST_PASSED - 1;
    Ok((format!("SELECT r.created_at, r.id {walked} OFFSET {last} LIMIT 1"), query.params))
}
