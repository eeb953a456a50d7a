//! Runs: one as a block, many as a table, an ending as a line.

use anstyle::Style;
use sprongus_core::artifact::Artifact;
use sprongus_core::run::Run;
use sprongus_core::state::State;
use sprongus_core::step::Step;
use sprongus_core::text::{excerpt, printable};
use sprongus_core::time::Timestamp;

use super::age::{ago, length};
use super::artifacts::size;
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
pub fn line(run: &Run) -> String {
    format!("{}  {}  {}\n", paint(BOLD, run.id), run.kind, state(run.state))
}

/// The table of a list.
pub fn table(runs: &[Run], now: Timestamp) -> String {
    let mut table = Table::new(["ID", "KIND", "STATE", "PROGRESS", "ATTEMPT", "CREATED", "OUTCOME"]);
    for run in runs {
        table.row([
            Cell::from(run.id.to_string()),
            excerpt(run.kind.as_str(), SHORT).into(),
            Cell::styled(standing(run), of_state(run.state)),
            Cell::number(format!("{}%", run.progress)),
            Cell::number(format!("{}/{}", run.attempt, run.max_attempts)),
            ago(run.created_at, now).into(),
            outcome(run, now),
        ]);
    }
    table.render("no runs")
}

fn standing(run: &Run) -> &'static str {
    if run.waiting_for().is_some() { "waiting" } else { run.state.as_str() }
}

fn outcome(run: &Run, now: Timestamp) -> Cell {
    if let Some(error) = &run.error {
        return Cell::styled(excerpt(&error.replace('\n', ": "), 48), BAD);
    }
    if let Some(output) = &run.output_ref {
        return excerpt(output, 48).into();
    }
    if run.state == State::Queued && run.run_at > now {
        return Cell::styled(format!("due {}", ago(run.run_at, now)), DIM);
    }
    "".into()
}

/// Everything about one run.
pub fn block(run: &Run, steps: &[Step], artifacts: &[Artifact], now: Timestamp) -> String {
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
    if let Some(waiting) = waiting(run, steps, now) {
        field("waits for", &waiting);
    }
    let names = [("project", run.project_id.as_ref().map(|id| id.as_str()))];
    let names = names.into_iter().chain([("for", run.agent_task_id.as_ref().map(|id| id.as_str()))]);
    names.for_each(|(label, name)| name.into_iter().for_each(|name| field(label, name)));
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
        let (count, noun) = (artifacts.len(), if artifacts.len() == 1 { "file" } else { "files" });
        field("artifacts", &format!("{count} {noun}, {}: `sprongus runs artifacts {}`", size(bytes), run.id));
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

/// What a queued run waits for, if not for a worker alone.
fn waiting(run: &Run, steps: &[Step], now: Timestamp) -> Option<String> {
    if let Some(gate) = run.waiting_for() {
        let step = steps.iter().find(|step| step.id == gate.step_id);
        let name = step.map_or_else(|| gate.step_id.to_string(), |step| excerpt(&step.name, SHORT));
        let until = gate.until.map(|until| format!(", until {}", when(until, now))).unwrap_or_default();
        return Some(format!("{} {name}{until}", paint(ATTENTION, "an approval of")));
    }
    if run.state != State::Queued {
        return None;
    }
    if run.run_at > now {
        let what = if run.attempt > 0 && run.error.is_some() { "its next attempt" } else { "its time" };
        return Some(format!("{what}, {}", when(run.run_at, now)));
    }
    let due = if run.run_at < now { format!(", due {}", ago(run.run_at, now)) } else { String::new() };
    Some(format!("a worker{due}"))
}

fn next(run: &Run) -> Option<String> {
    let id = run.id;
    if run.waiting_for().is_some() {
        return Some(format!("`sprongus runs approve {id}`, or `reject {id} --reason …`"));
    }
    match run.state {
        State::Queued | State::Running => Some(format!("`sprongus runs tail {id}` follows it")),
        State::Succeeded => None,
        State::Failed | State::Canceled => {
            Some(format!("`sprongus runs retry {id}` gives it a new budget of attempts"))
        }
    }
}

/// How a followed run ended.
pub fn ending(run: &Run) -> String {
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
