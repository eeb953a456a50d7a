//! What is to come, and what did not.

use sprongus_core::calendar::Cron;
use sprongus_core::calendar::missed::MissedPolicy;
use sprongus_core::run::list::Page;
use sprongus_core::schedule::ScheduleView;
use sprongus_core::schedule::definition::Timing;
use sprongus_core::schedules::{NextTick, Preview, Previewed};
use sprongus_core::values::duration::format_duration;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorEventType, OperatorFilter};
use sprongus_core::{Admin, ErrorCode, Result};

use super::when;
use crate::app::App;
use crate::cli::times;
use crate::connect::Access;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::plural::plural;
use crate::render::table::Table;

/// What to explain.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    /// Cron expression, such as '30 2 * * mon-fri'
    pub cron: String,
    /// Time zone, such as Europe/Berlin (default: UTC)
    #[arg(long, visible_alias = "tz", value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// At clock changes: once or literal (default: once)
    #[arg(long, value_name = "RULE")]
    pub dst: Option<String>,
    /// Ticks after this time (default: now)
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub from: Option<Timestamp>,
    /// How many ticks
    #[arg(short, default_value_t = 10, value_name = "N")]
    pub n: u32,
}

/// The next ticks of a schedule.
pub async fn next(id: &ScheduleId, n: u32, app: &App) -> Outcome<()> {
    let ticks = app.connect(Access::Existing).await?.schedules.next(id, n).await?;
    let page = Page { data: ticks, next_cursor: None };
    app.screen.list(&page, |tick| tick.at.to_string(), || table(&page.data, app.screen.now()))
}

/// What a cron expression means.
pub async fn preview(args: PreviewArgs, app: &App) -> Outcome<()> {
    let PreviewArgs { cron, time_zone, dst, from, n } = args;
    // An expression is explained without a database, too: a mistake in it is told first.
    Cron::parse(&cron).map_err(|fault| sprongus_core::Error::validation(fault.to_string()))?;
    let preview = Preview { cron, time_zone, dst, from, n };
    let previewed = app.connect(Access::Creating).await?.schedules.preview(&preview).await?;
    app.screen.answer(&previewed, &previewed.cron, || explained(&previewed, app.screen.now()))
}

fn explained(previewed: &Previewed, now: Timestamp) -> String {
    let change = match &previewed.clock_change {
        Some(change) => format!("{change}.\n"),
        None => format!("The clock in {} is not going to change.\n", previewed.time_zone),
    };
    format!(
        "{}  ({})\n{}\n{change}\n{}",
        previewed.cron,
        previewed.time_zone,
        sentence(&previewed.words),
        table(&previewed.ticks, now)
    )
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

fn table(ticks: &[NextTick], now: Timestamp) -> String {
    let mut table = Table::new(["TICK", "LOCAL", "IN", "DUE"]);
    for tick in ticks {
        let due = if tick.due_at == tick.at { String::new() } else { tick.due_at.to_string() };
        let local = tick.local.as_ref().map_or_else(String::new, |local| local.replace('T', " "));
        table.row([tick.at.to_string().into(), local.into(), ago(tick.at, now).into(), due.into()]);
    }
    table.render("No ticks.")
}

/// The last skips of a schedule; nothing for those who may not read the audit.
pub async fn skipped(admin: &dyn Admin, id: &ScheduleId) -> Result<Vec<OperatorEvent>> {
    let types = vec![OperatorEventType::ScheduleSkipped];
    let filter = OperatorFilter { types, limit: 100, ..OperatorFilter::default() };
    let mut events = match admin.operator_events(&filter).await {
        Ok(page) => page.data,
        Err(error) if error.code() == ErrorCode::Forbidden => Vec::new(),
        Err(error) => return Err(error),
    };
    events.retain(|event| event.subject.as_deref() == Some(id.as_str()));
    events.truncate(5);
    Ok(events)
}

/// A schedule, whole.
pub fn page(view: &ScheduleView, next: &[NextTick], skipped: &[OperatorEvent], now: Timestamp) -> String {
    let definition = &view.definition;
    let mut lines = vec![
        ("state", view.state.as_str().to_owned()),
        ("kind", definition.run.kind.clone()),
        ("when", when(view)),
    ];
    if let Timing::Cron { cron, .. } = &definition.timing {
        lines.push(("", sentence(&cron.words())));
    }
    let policies = serde_json::to_value(definition).unwrap_or_default();
    let word = |name: &str| policies[name].as_str().unwrap_or_default().to_owned();
    let more = match definition.missed.policy {
        MissedPolicy::All => {
            let within =
                policies["within"].as_str().map_or_else(String::new, |within| format!(", within {within}"));
            format!("; at most {}{within}", policies["maxMissed"])
        }
        MissedPolicy::Skip | MissedPolicy::Last => String::new(),
    };
    lines.push(("missed", format!("{}, when more than {} late{more}", word("missed"), word("missedAfter"))));
    lines.push(("overlap", word("overlap")));
    if !definition.jitter.is_zero() {
        lines.push(("jitter", format!("up to {}", format_duration(definition.jitter))));
    }
    lines.extend(definition.start_at.map(|at| ("start", at.to_string())));
    lines.extend(definition.end_at.map(|at| ("end", at.to_string())));
    let numbers = [("priority", "priority"), ("attempts", "maxAttempts")];
    lines.extend(
        numbers
            .into_iter()
            .filter(|(_, name)| !policies[*name].is_null())
            .map(|(label, name)| (label, policies[name].to_string())),
    );
    if !definition.run.tags.is_empty() {
        let tags: Vec<String> =
            definition.run.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(("tags", tags.join(" ")));
    }
    if let Some(input) = &definition.run.input {
        lines.push(("input", input.as_str().to_owned()));
    }
    lines.push(("revision", view.revision.to_string()));
    let from = if view.drifted {
        "file; changed since it was applied".to_owned()
    } else {
        view.managed_by.as_str().to_owned()
    };
    lines.push(("managed by", from));
    lines.extend(view.last_tick.map(|at| ("last", format!("{at} ({})", ago(at, now)))));
    lines.extend(next.iter().enumerate().map(|(place, tick)| {
        let local = tick
            .local
            .as_ref()
            .map_or_else(String::new, |local| format!(", {} there", local.replace('T', " ")));
        (if place == 0 { "next" } else { "" }, format!("{} ({}{local})", tick.at, ago(tick.at, now)))
    }));
    lines.extend(view.waiting_ticks.first().map(|at| {
        (
            "waiting",
            format!("{}, since {at}, for the live run to end", plural(view.waiting_ticks.len(), "tick")),
        )
    }));
    lines.extend(view.skipping.as_ref().map(|skipping| {
        let count = plural(usize::try_from(skipping.count).unwrap_or(usize::MAX), "tick");
        ("skipping", format!("{count} so far, {} to {}, while a run is live", skipping.from, skipping.to))
    }));
    lines.extend(view.error.iter().map(|error| ("error", error.clone())));
    lines.extend(skipped.iter().enumerate().map(|(place, event)| {
        let seen = event.after.as_ref().map(|after| after.to_value()).unwrap_or_default();
        let count = seen["count"].as_u64().unwrap_or_default();
        let text = format!(
            "{} ({}), {} to {}",
            plural(usize::try_from(count).unwrap_or(usize::MAX), "tick"),
            seen["reason"].as_str().unwrap_or_default(),
            seen["from"].as_str().unwrap_or_default(),
            seen["to"].as_str().unwrap_or_default()
        );
        (if place == 0 { "skipped" } else { "" }, text)
    }));
    let mut text = format!("{}\n", view.id);
    lines.iter().for_each(|(name, value)| text.push_str(&format!("  {name:<10}  {value}\n")));
    text
}
