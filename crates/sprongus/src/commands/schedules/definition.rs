//! What a schedule is to do, as options.

use serde_json::{Map, Value, json};
use sprongus_core::schedule::Definition;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::{Error, ErrorCode, Result};

use crate::app::App;
use crate::cli::input;
use crate::commands::runs::select::filter::tag;
use crate::connect::Access;
use crate::exit::failure::Outcome;

/// The schedule.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Schedule id: lower-case letters, digits and -
    pub id: ScheduleId,
    /// Kind of its runs, such as report.build
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Cron expression, such as '30 2 * * mon-fri'
    #[arg(long, value_name = "CRON", conflicts_with = "every")]
    pub cron: Option<String>,
    /// Interval, such as 15m; 1s or more
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
    /// Time zone of the cron expression, such as Europe/Berlin (default: UTC)
    #[arg(long, visible_alias = "tz", value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// At clock changes: once or literal (default: once)
    #[arg(long, value_name = "RULE")]
    pub dst: Option<String>,
    /// Input of its runs: JSON, or @ and the name of a JSON file
    #[arg(long, value_name = "JSON|@FILE", allow_hyphen_values = true)]
    pub input: Option<String>,
    /// Project of its runs
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
    /// Agent task of its runs
    #[arg(long, value_name = "ID")]
    pub agent_task: Option<String>,
    /// Priority of its runs, 0 to 100; higher runs first
    #[arg(long, value_name = "N")]
    pub priority: Option<u32>,
    /// Maximum number of attempts of a run, 1 to 100
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// Tag of its runs (repeatable, up to 16)
    #[arg(long, value_name = "K=V", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// Ticks that were missed: skip, last or all (default: last)
    #[arg(long, value_name = "POLICY")]
    pub missed: Option<String>,
    /// A tick is missed when it is this late (default: 1m)
    #[arg(long, value_name = "DURATION")]
    pub missed_after: Option<String>,
    /// With --missed all: at most this many runs (default: 100)
    #[arg(long, value_name = "N")]
    pub max_missed: Option<u32>,
    /// With --missed all: no tick older than this
    #[arg(long, value_name = "DURATION")]
    pub within: Option<String>,
    /// A tick while a run is live: allow, skip, queue_one, queue_all or cancel_running (default: skip)
    #[arg(long, value_name = "POLICY")]
    pub overlap: Option<String>,
    /// Start each run up to this much later, by a fixed hash (default: 0s)
    #[arg(long, value_name = "DURATION")]
    pub jitter: Option<String>,
    /// No tick before this time
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// No tick at this time or later
    #[arg(long, value_name = "TIME")]
    pub end_at: Option<String>,
    /// Create it paused
    #[arg(long)]
    pub paused: bool,
}

impl Args {
    /// The fields that were given.
    fn given(&self) -> Result<Map<String, Value>> {
        let texts = [
            ("kind", &self.kind),
            ("cron", &self.cron),
            ("every", &self.every),
            ("timeZone", &self.time_zone),
            ("dst", &self.dst),
            ("projectId", &self.project),
            ("agentTaskId", &self.agent_task),
            ("missed", &self.missed),
            ("missedAfter", &self.missed_after),
            ("within", &self.within),
            ("overlap", &self.overlap),
            ("jitter", &self.jitter),
            ("startAt", &self.start_at),
            ("endAt", &self.end_at),
        ];
        let mut given: Map<String, Value> = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
            .collect();
        let numbers =
            [("priority", self.priority), ("maxAttempts", self.max_attempts), ("maxMissed", self.max_missed)];
        given
            .extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), json!(number?)))));
        if let Some(input) = &self.input {
            given.insert("input".to_owned(), input::from_option(input)?.to_value());
        }
        if !self.tag.is_empty() {
            let tags = self.tag.iter().map(|(name, value)| (name.clone(), json!(value)));
            given.insert("tags".to_owned(), Value::Object(tags.collect()));
        }
        if self.paused {
            given.insert("paused".to_owned(), json!(true));
        }
        Ok(given)
    }
}

/// A refused definition, as options have it.
fn read(fields: Map<String, Value>) -> Result<Definition> {
    Definition::read(&Value::Object(fields)).map_err(|error| match error.fields().first() {
        // It says where, and what to do.
        Some(_) if error.code() == ErrorCode::SecretInInput => error,
        Some(field) => {
            let hint = "see `sprongus schedules create --help`; try a cron expression with `sprongus schedules preview`";
            Error::new(error.code(), field.message.clone()).with_fields(error.fields().to_vec()).with_hint(hint)
        }
        None => error,
    })
}

/// Creates it.
pub async fn create(args: Args, app: &App) -> Outcome<()> {
    let definition = read(args.given()?)?;
    let view = app.connect(Access::Creating).await?.schedules.create(&args.id, definition).await?;
    super::answer(&view, app)
}

/// Changes the fields that were given.
pub async fn update(args: Args, app: &App) -> Outcome<()> {
    let schedules = app.connect(Access::Existing).await?.schedules;
    let view = schedules.get(&args.id).await?;
    let given = args.given()?;
    if given.is_empty() {
        return Err(Error::validation("nothing to update")
            .with_hint("give an option, such as --cron")
            .into());
    }
    let Value::Object(mut fields) = view.definition.to_json().to_value() else {
        return Err(Error::internal("a schedule is not an object").into());
    };
    // The one timing takes the place of the other.
    if given.contains_key("every") {
        ["cron", "timeZone", "dst"].iter().for_each(|name| drop(fields.remove(*name)));
    }
    if given.contains_key("cron") {
        fields.remove("every");
    }
    fields.extend(given);
    let view = schedules.put(&args.id, read(fields)?).await?;
    super::answer(&view, app)
}
