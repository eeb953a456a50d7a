//! `/runs/{id}`: where a run stands and why, what it did and when, what it printed, and what it came to.

pub mod actions;
pub mod artifacts;
pub mod log;

use askama::Template;
use axum::http::Uri;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{NumberedLine, Step};
use sprongus_core::run::view::RunView;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::text::truncate;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Result, Runs};

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, RunAt, timely};
use crate::server::dashboard::parts::events::{EventsPart, Selection};
use crate::server::dashboard::parts::format::{When, bytes, number, span};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::run_row::RunRow;
use crate::server::dashboard::parts::run_status::{Why, is_to_be_retried, why};
use crate::server::dashboard::parts::timeline::{Bar, bars};
use crate::server::dashboard::parts::{events, json_tree, log_lines};
use crate::server::dashboard::session::Viewer;
use crate::server::request::query::Query;

/// Bytes of a step's output that are shown.
const OUTPUT: usize = 8 * 1024;

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    id: String,
    kind: String,
    /// All parts but the last two, which stand behind the log.
    before: Vec<Html>,
    after: Vec<Html>,
    lines: Html,
    last: u64,
    step: String,
    steps: Vec<String>,
    /// The word for the events that are shown; empty for the usual ones.
    what: String,
}

#[derive(Template)]
#[template(path = "run_head.html")]
struct Head {
    row: RunRow,
    uuid: String,
    why: Why,
    priority: u8,
    crashes: u32,
    progress: u8,
    key: Option<String>,
    /// The schedule that made it.
    schedule: Option<String>,
    /// The tick; none for a run that somebody triggered.
    tick: Option<When>,
    started: Option<When>,
    due: Option<When>,
    is_due: bool,
    expire_at: Option<When>,
    error: Option<String>,
    output_ref: Option<String>,
    may_cancel: bool,
    may_retry: bool,
}

#[derive(Template)]
#[template(path = "run_gate.html")]
struct GateForm {
    /// The gate it waits at, if it does.
    gate: Option<GateRow>,
    id: String,
    may_answer: bool,
    form_token: String,
}

struct GateRow {
    step_id: String,
    name: String,
    until: Option<When>,
}

#[derive(Template)]
#[template(path = "run_timeline.html")]
struct TimelinePart {
    bars: Vec<Bar>,
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "run_steps.html")]
struct StepsPart {
    steps: Vec<StepRow>,
    tokens: Option<(String, String)>,
}

struct StepRow {
    id: String,
    /// Where its part of the log is.
    log: String,
    attempt: u32,
    phase: &'static str,
    name: String,
    sort: &'static str,
    status: &'static str,
    took: Option<String>,
    started: Option<When>,
    tokens: Option<(String, String)>,
    output: Option<String>,
}

#[derive(Template)]
#[template(path = "run_data.html")]
struct DataPart {
    input: Html,
    result: Option<Html>,
    id: String,
}

#[derive(Template)]
#[template(path = "run_artifacts.html")]
struct ArtifactsPart {
    rows: Vec<ArtifactRow>,
    /// Where they cannot be read, the rest of the page still can.
    is_unread: bool,
}

struct ArtifactRow {
    name: String,
    href: String,
    size: String,
    sha256: String,
    content_type: String,
    created: When,
}

/// `GET /runs/{id}`.
pub async fn page(viewer: Viewer, RunAt(id): RunAt, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let mut query = Query::read(&uri, &["step", "what"])?;
    let what = query.one::<Selection>("what").unwrap_or_default();
    let word = query.text("what").unwrap_or_default().to_owned();
    let chosen = query.text("step").unwrap_or_default().to_owned();
    query.end()?;
    let runs = viewer.principal.runs();
    let step = Some(chosen.as_str()).filter(|step| !step.is_empty());
    let reading = async {
        let run = runs.get(id).await?;
        let fragments = read(&viewer, runs.as_ref(), &run, what).await?;
        let (lines, last) = log_lines::end(runs.as_ref(), id, step).await?;
        let names = step_names(&runs.steps(id).await?, &lines);
        Ok((run, fragments, lines, last, names))
    };
    let (run, fragments, lines, last, steps) = timely(reading).await?;
    let mut before = outer_all(&fragments)?;
    let after = before.split_off(before.len().saturating_sub(2));
    let main = render(&Page {
        id: run.id.to_string(),
        kind: run.kind.to_string(),
        before,
        after,
        lines: log_lines::lines(lines)?,
        last,
        step: chosen,
        steps,
        what: word,
    })?;
    let live = format!("/live{}", what.path(id, ""));
    let title = format!("{} · {}", run.kind, run.state);
    Ok(layout(&viewer, Section::Runs, &title, Some(&live), &main)?)
}

/// Names to choose lines by.
fn step_names(steps: &[Step], lines: &[NumberedLine]) -> Vec<String> {
    let named = steps.iter().map(|step| step.name.clone());
    let mut names: Vec<String> =
        named.chain(lines.iter().filter_map(|line| line.line.step.clone())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The `seq` of a run's newest event.
///
/// # Errors
/// As the store's; `not_found` for a run that the viewer may not see.
pub async fn newest_event(viewer: &Viewer, id: RunId) -> Result<u64> {
    Ok(viewer.shared.service.store().get(&viewer.principal.caller, id).await?.last_seq)
}

/// The parts of a run, as it stands.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer, run: &RunView, what: Selection) -> Result<Vec<Fragment>> {
    timely(read(viewer, viewer.principal.runs().as_ref(), run, what)).await
}

async fn read(viewer: &Viewer, runs: &dyn Runs, run: &RunView, what: Selection) -> Result<Vec<Fragment>> {
    // News of a run do not tell what it waits for.
    let looked_up = match run.state {
        State::Queued if run.waiting.is_none() => Some(runs.get(run.id).await?),
        State::Queued | State::Running | State::Succeeded | State::Failed | State::Canceled => None,
    };
    let run = looked_up.as_ref().unwrap_or(run);
    let newest = newest_event(viewer, run.id).await?;
    let everything = async {
        match what {
            Selection::ButProgress => Ok(None),
            Selection::Everything => events::read(runs, run.id, newest, what).await.map(Some),
        }
    };
    let (steps, history, everything, workers, now) = tokio::try_join!(
        runs.steps(run.id),
        events::read(runs, run.id, newest, Selection::ButProgress),
        everything,
        runs.workers(),
        viewer.shared.service.store().now(),
    )?;
    let kept = runs.artifacts(run.id).await;
    let head = Head {
        row: RunRow::new(run, now),
        uuid: run.id.to_uuid_text(),
        why: why(run, &workers, now),
        priority: run.priority,
        crashes: run.crashes,
        progress: run.progress,
        key: run.idempotency_key.clone(),
        schedule: run.schedule_id.as_ref().map(ToString::to_string),
        tick: run.scheduled_for.map(|at| When::new(at, now)),
        started: run.started_at.map(|at| When::new(at, now)),
        due: run.due_at.filter(|_| run.state == State::Queued).map(|at| When::new(at, now)),
        is_due: run.due_at.is_some_and(|at| at <= now),
        expire_at: run.expire_at.map(|at| When::new(at, now)),
        error: run.error.clone(),
        output_ref: run.output_ref.clone(),
        may_cancel: viewer.may(Scope::Write) && !run.state.is_final(),
        may_retry: viewer.may(Scope::Write) && is_to_be_retried(run.state),
    };
    let gate = GateForm {
        gate: run.waiting_for.map(|gate| GateRow {
            step_id: gate.step_id.to_string(),
            name: steps
                .iter()
                .find(|step| step.id == gate.step_id)
                .map(|step| step.name.clone())
                .unwrap_or_default(),
            until: gate.until.map(|until| When::new(until, now)),
        }),
        id: run.id.to_string(),
        may_answer: viewer.may(Scope::Approve),
        form_token: viewer.form_token.clone(),
    };
    let data = DataPart {
        input: json_tree::tree(&run.input)?,
        result: run.result.as_ref().map(json_tree::tree).transpose()?,
        id: run.id.to_string(),
    };
    let timeline = TimelinePart { bars: bars(&history.events, &steps, now), is_cut: history.is_cut };
    Ok(vec![
        Fragment::new("head", &head)?,
        Fragment::new("gate", &gate)?,
        Fragment::new("timeline", &timeline)?,
        Fragment::new("steps", &steps_part(&steps, what, now))?,
        Fragment::new("data", &data)?,
        Fragment::new("artifacts", &artifacts_part(kept, now))?,
        Fragment::new(
            "events",
            &EventsPart::new(everything.as_ref().unwrap_or(&history), run.id, what, now),
        )?,
    ])
}

fn pair(tokens_in: Option<u64>, tokens_out: Option<u64>) -> Option<(String, String)> {
    let is_there = tokens_in.is_some() || tokens_out.is_some();
    is_there.then(|| (number(tokens_in.unwrap_or(0)), number(tokens_out.unwrap_or(0))))
}

fn steps_part(steps: &[Step], what: Selection, now: Timestamp) -> StepsPart {
    let sum = |of: fn(&Step) -> Option<u64>| steps.iter().filter_map(of).reduce(u64::saturating_add);
    let rows = steps.iter().map(|step| StepRow {
        id: step.id.to_string(),
        log: format!("{}#h-log", what.path(step.run_id, &step.name)),
        attempt: step.attempt,
        phase: step.phase.as_str(),
        name: step.name.clone(),
        sort: step.kind.as_str(),
        status: step.status.as_str(),
        took: step.duration().map(span),
        started: step.started_at.map(|at| When::new(at, now)),
        tokens: pair(step.tokens_in, step.tokens_out),
        output: step
            .output
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(|text| truncate(text, OUTPUT).into_owned()),
    });
    StepsPart { steps: rows.collect(), tokens: pair(sum(|step| step.tokens_in), sum(|step| step.tokens_out)) }
}

fn artifacts_part(
    kept: Result<Vec<sprongus_core::run::artifact::Artifact>>,
    now: Timestamp,
) -> ArtifactsPart {
    let is_unread =
        kept.as_ref().inspect_err(|error| tracing::debug!(?error, "artifacts are not available")).is_err();
    let rows = kept.unwrap_or_default().into_iter().map(|artifact| ArtifactRow {
        href: format!("/runs/{}/artifacts/{}", artifact.run_id, artifacts::in_path(&artifact.name)),
        name: artifact.name.to_string(),
        size: bytes(artifact.size),
        sha256: artifact.sha256,
        content_type: artifact.content_type,
        created: When::new(artifact.created_at, now),
    });
    ArtifactsPart { rows: rows.collect(), is_unread }
}
