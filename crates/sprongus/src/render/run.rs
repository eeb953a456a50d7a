//! Runs: one as a block, many as a table, an ending as a line.

use anstyle::Style;
use sprongus_core::run::artifact::Artifact;
use sprongus_core::run::state::State;
use sprongus_core::run::step::Step;
use sprongus_core::run::view::RunView;
use sprongus_core::run::waiting::{Serving, TimeCause, Waiting};
use sprongus_core::values::text::{excerpt, in_short, printable};
use sprongus_core::values::time::Timestamp;

use super::age::{ago, length};
use super::artifacts::size;
use super::plural::plural;
use super::steps;
use super::style::{ATTENTION, BAD, BOLD, DIM, PLAIN, of_state, paint};
use super::table::{Cell, Table};

/// How wide the labels of a block are.
const LABEL: usize = 11;

/// Characters shown of a value that may be long.
const SHORT: usize = 64;

/// A state in its colour.
pub fn state(state: State) -> String {
    paint(of_state(state), state)
}

/// One line: id, kind, state.
pub fn line(run: &RunView) -> String {
    format!("{}  {}  {}\n", paint(BOLD, run.id), run.kind, state(run.state))
}

/// The table of a list.
pub fn table(runs: &[RunView], now: Timestamp) -> String {
    let mut table =
        Table::new(["ID", "KIND", "STATE", "WAITS FOR", "PROGRESS", "ATTEMPT", "CREATED", "OUTCOME"]);
    for run in runs {
        table.row([
            Cell::from(run.id.to_string()),
            excerpt(run.kind.as_str(), SHORT).into(),
            Cell::styled(run.state.as_str(), of_state(run.state)),
            waits_for(run, now),
            Cell::number(format!("{}%", run.progress)),
            Cell::number(format!("{}/{}", run.attempt, run.max_attempts)),
            ago(run.created_at, now).into(),
            outcome(run),
        ]);
    }
    table.render("no runs")
}

/// The reason in a word or two, with what is shortest to say about it.
fn waits_for(run: &RunView, now: Timestamp) -> Cell {
    match &run.waiting {
        None => "".into(),
        Some(Waiting::Gate { .. }) => Cell::styled("approval", ATTENTION),
        Some(Waiting::Time { until, cause: TimeCause::Delay, .. }) => {
            Cell::styled(format!("delay, due {}", ago(*until, now)), DIM)
        }
        Some(Waiting::Time { until, cause: TimeCause::Backoff, .. }) => {
            Cell::styled(format!("backoff, due {}", ago(*until, now)), DIM)
        }
        Some(Waiting::KindPaused { .. }) => Cell::styled("paused kind", ATTENTION),
        Some(Waiting::Worker { workers: Serving::None | Serving::Draining, .. }) => {
            Cell::styled("worker (none)", BAD)
        }
        Some(Waiting::Worker { workers: Serving::AllBusy, .. }) => "worker (all busy)".into(),
        Some(Waiting::Worker { workers: Serving::Available, .. }) => "worker".into(),
    }
}

fn outcome(run: &RunView) -> Cell {
    if let Some(error) = &run.error {
        return Cell::styled(in_short(error, 64), BAD);
    }
    if let Some(output) = &run.output_ref {
        return excerpt(output, 48).into();
    }
    "".into()
}

/// Everything about one run.
pub fn block(
    run: &RunView,
    steps: &[Step],
    artifacts: &[Artifact],
    released: &Released,
    now: Timestamp,
) -> String {
    let mut out = format!("{}  {}\n", paint(BOLD, run.id), run.kind);
    let mut field = |label: &str, value: &str| {
        out.push_str(&format!("  {}{value}\n", paint(DIM, format!("{label:LABEL$}"))));
    };
    let mut standing = vec![state(run.state)];
    if run.state == State::Running || run.progress > 0 {
        standing.push(format!("{} %", run.progress));
    }
    if run.attempt > 0 {
        standing.push(format!("attempt {} of {}", run.attempt, run.max_attempts));
    }
    if run.crashes > 0 {
        standing.push(paint(ATTENTION, format!("{} lost", run.crashes)));
    }
    field("state", &standing.join(" · "));
    if let Some(words) = run.waiting.as_ref().map(Waiting::words) {
        let style = if words.is_amiss { ATTENTION } else { PLAIN };
        let time = when(words.time, now);
        field("waits for", &format!("{}, {} {time}", paint(style, &words.text), words.label));
    }
    if let Some(last) = &released.last {
        let count = plural(released.times, "time");
        let by = excerpt(&last.by, SHORT);
        field("released", &format!("{count}, last {} by {by}", when(last.at, now)));
    }
    // The step of a gate tells what of the work directory is not there behind it.
    let gate = run.waiting_for.and_then(|gate| steps.iter().find(|step| step.id == gate.step_id));
    if let Some(left_out) = gate.and_then(|step| step.output.as_deref()) {
        field("attention", &printable(left_out).replace('\n', &format!("\n{}", " ".repeat(LABEL + 2))));
    }
    let names = [("project", run.project_id.as_ref().map(|id| id.as_str()))];
    let names = names.into_iter().chain([("for", run.agent_task_id.as_ref().map(|id| id.as_str()))]);
    names.for_each(|(label, name)| name.into_iter().for_each(|name| field(label, name)));
    if let Some(schedule) = &run.schedule_id {
        let tick = run.scheduled_for.map_or_else(|| "triggered".to_owned(), |tick| format!("tick {tick}"));
        let revision =
            run.schedule_revision.map_or_else(String::new, |number| format!(", revision {number}"));
        field("schedule", &format!("{schedule}, {tick}{revision}"));
    }
    if let Some(key) = &run.idempotency_key {
        field("key", &excerpt(key, SHORT));
    }
    if !run.tags.is_empty() {
        let tags = run
            .tags
            .iter()
            .map(|(name, value)| format!("{}={}", excerpt(name, SHORT), excerpt(value, SHORT)));
        field("tags", &tags.collect::<Vec<_>>().join(" "));
    }
    if run.priority > 0 {
        field("priority", &run.priority.to_string());
    }
    field("input", &excerpt(run.input.as_str(), SHORT));
    field("enqueued", &when(run.created_at, now));
    if let Some(time) = run.started_at {
        field("started", &when(time, now));
    }
    if let Some(worker) = run.claimed_by.as_ref().filter(|_| run.state == State::Running) {
        field("worker", worker.as_str());
    }
    if let Some(time) = run.finished_at {
        let taken =
            run.started_at.map(|from| format!(", after {}", length(time.since(from)))).unwrap_or_default();
        field("ended", &format!("{}{taken}", when(time, now)));
    }
    if let Some(error) = &run.error {
        let indented = printable(error).replace('\n', &format!("\n{}", " ".repeat(LABEL + 2)));
        field("error", &paint(BAD, indented));
    }
    if let Some(result) = &run.result {
        field("result", &excerpt(result.as_str(), SHORT));
    }
    if let Some(output) = &run.output_ref {
        field("output", &paint(BOLD, printable(output)));
    }
    if !artifacts.is_empty() {
        let bytes = artifacts.iter().map(|artifact| artifact.size).sum();
        let count = plural(artifacts.len(), "file");
        field("artifacts", &format!("{count}, {}: `sprongus runs artifacts {}`", size(bytes), run.id));
    }
    if !steps.is_empty() {
        out.push_str(&format!("  {}\n", paint(DIM, "steps")));
        let table = steps::table(steps, now);
        table.lines().skip(1).for_each(|line| out.push_str(&format!("    {line}\n")));
    }
    if let Some(next) = next(run) {
        out.push_str(&format!("  {}{next}\n", paint(DIM, format!("{:LABEL$}", "next"))));
    }
    out
}

fn when(time: Timestamp, now: Timestamp) -> String {
    format!("{} {}", ago(time, now), paint(DIM, format!("({time})")))
}

/// How often workers gave a run back without having executed it to its end.
#[derive(Clone, Debug, Default)]
pub struct Released {
    pub times: usize,
    pub last: Option<LastRelease>,
}

/// When a run was given back, and by which worker.
#[derive(Clone, Debug)]
pub struct LastRelease {
    pub at: Timestamp,
    /// The worker, or whoever it acted for.
    pub by: String,
}

fn next(run: &RunView) -> Option<String> {
    let id = run.id;
    if run.waiting_for.is_some() {
        return Some(format!("`sprongus runs approve {id}`, or `reject {id} --reason …`"));
    }
    match run.state {
        State::Queued | State::Running => Some(format!("follow it with `sprongus runs tail {id}`")),
        State::Succeeded => None,
        State::Failed | State::Canceled => Some(format!("retry it with `sprongus runs retry {id}`")),
    }
}

/// How a followed run ended.
pub fn ending(run: &RunView) -> String {
    let taken =
        run.finished_at.zip(run.started_at).map(|(end, start)| format!(" in {}", length(end.since(start))));
    let taken = taken.unwrap_or_default();
    let (mark, style): (&str, Style) = match run.state {
        State::Succeeded => ("✓", of_state(run.state)),
        State::Failed => ("✗", of_state(run.state)),
        State::Canceled => ("–", of_state(run.state)),
        State::Queued | State::Running => ("…", PLAIN),
    };
    let mut out = format!("{} {}{taken}\n", paint(style, mark), paint(style, run.state));
    if let Some(error) = run.error.as_ref().filter(|_| run.state != State::Succeeded) {
        out.push_str(&format!("  error   {}\n", printable(error).replace('\n', "\n          ")));
    }
    if let Some(output) = &run.output_ref {
        out.push_str(&format!("  output  {}\n", paint(BOLD, printable(output))));
    }
    out
}
