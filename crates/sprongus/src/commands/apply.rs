//! `apply`: the settings of a `sprongus.toml` to wherever commands go.

use std::path::PathBuf;

use sprongus_core::run::list::{MAX_PAGE, Page};
use sprongus_core::schedules::{Applied, Difference, DifferenceKind, Schedules};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::workspace::setting::ManagedBy;
use sprongus_core::{Error, ErrorCode, Result};
use sprongus_worker::declaration::Declaration;

use crate::app::{App, refused};
use crate::connect::{Access, Place, Target};
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::plural::plural;
use crate::render::style::{ATTENTION, BAD, GOOD, paint};

/// What to bring.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the differences, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also delete what a file created and this one does not have
    #[arg(long)]
    pub prune: bool,
    /// The file (default: the nearest sprongus.toml)
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Brings it.
pub async fn run(args: Args, app: &App) -> Outcome {
    let declaration = match &args.file {
        Some(path) => Some(Declaration::load(path).map_err(|fault| refused(&fault))?),
        None => app.declaration()?,
    };
    let declaration = declaration.ok_or_else(|| {
        Error::not_found("sprongus.toml in this folder or above")
            .with_hint("create one with `sprongus init`, or use --file")
    })?;
    let applied = Applied { schedules: declaration.schedules, prune: args.prune, dry_run: args.dry_run };
    let schedules = app.connect(Access::Creating).await?.schedules;
    let differences = schedules.apply(&applied).await?;
    let page = Page { data: differences, next_cursor: None };
    app.screen.list(
        &page,
        |difference| format!("{} {}", difference.family, difference.id),
        || match page.data.is_empty() {
            true => "no differences\n".to_owned(),
            false => page.data.iter().map(line).collect(),
        },
    )?;
    if args.dry_run && !page.data.is_empty() {
        app.screen.note("nothing was changed");
    }
    if !args.prune
        && let Some(left) = left_out(schedules.as_ref(), &applied).await?
    {
        app.screen.note(&left);
    }
    Ok(Exit::Done)
}

/// What a file created and this one does not have goes on: that is said, where the caller may see it.
async fn left_out(schedules: &dyn Schedules, applied: &Applied) -> Result<Option<String>> {
    let mut left: Vec<ScheduleId> = Vec::new();
    let mut after: Option<ScheduleId> = None;
    loop {
        let page = match schedules.list(after.as_ref(), MAX_PAGE).await {
            Ok(page) => page,
            Err(error) if error.code() == ErrorCode::Forbidden => return Ok(None),
            Err(error) => return Err(error),
        };
        after = page.last().map(|last| last.id.clone());
        let is_last = page.len() < MAX_PAGE as usize;
        let of_file = page.into_iter().filter(|view| view.managed_by == ManagedBy::File);
        left.extend(of_file.map(|view| view.id).filter(|id| !applied.schedules.contains_key(id)));
        if is_last {
            break;
        }
    }
    if left.is_empty() {
        return Ok(None);
    }
    let first: Vec<&str> = left.iter().take(5).map(ScheduleId::as_str).collect();
    let more = if left.len() > first.len() { ", …" } else { "" };
    Ok(Some(format!(
        "{} that a sprongus.toml created and this one does not have: {}{more}; delete with `sprongus apply --prune`",
        plural(left.len(), "schedule"),
        first.join(", ")
    )))
}

/// What a worker and a server do at their start: on an embedded file that lies beside its `sprongus.toml`, what that says is so.
///
/// # Errors
/// As [`Schedules::apply`].
pub async fn at_start(
    app: &App,
    place: &Place,
    declaration: Option<&Declaration>,
    schedules: &dyn Schedules,
) -> Result<()> {
    let Some(declaration) = declaration.filter(|it| is_beside(it, place)) else { return Ok(()) };
    let applied = Applied { schedules: declaration.schedules.clone(), ..Applied::default() };
    for difference in schedules.apply(&applied).await? {
        app.screen.note_now(line(&difference).trim_end());
    }
    if let Some(left) = left_out(schedules, &applied).await? {
        app.screen.note_now(&left);
    }
    Ok(())
}

/// Whether the database is the project's own: below the folder of the file.
fn is_beside(declaration: &Declaration, place: &Place) -> bool {
    let Target::File(file) = &place.target else { return false };
    let folder = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    file.parent().is_some_and(|parent| folder(parent).starts_with(folder(&declaration.project_dir)))
}

fn line(difference: &Difference) -> String {
    let Difference { kind, family, id, fields } = difference;
    let (sign, style) = match kind {
        DifferenceKind::Added => ("+", GOOD),
        DifferenceKind::Changed => ("~", ATTENTION),
        DifferenceKind::Deleted => ("-", BAD),
    };
    let changes = match kind {
        DifferenceKind::Added | DifferenceKind::Deleted => String::new(),
        DifferenceKind::Changed => {
            let changes: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {} -> {}", field.name, plain(&field.before), plain(&field.after)))
                .collect();
            format!(": {}", changes.join(", "))
        }
    };
    format!("{} {family} {id}{changes}\n", paint(style, sign))
}

/// A JSON text without its quotes.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}
