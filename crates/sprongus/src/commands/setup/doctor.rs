//! `doctor`: what was chosen and why, and what is amiss, each with its remedy.

mod clock;
mod database;
mod durability;
mod files;
mod finding;
mod integrity;
mod queue;
mod schedules;
mod settings;

use sprongus_worker::declaration::{Declaration, find_upward};

use crate::app::App;
use crate::connect::{self, Access, Target};
use crate::env::trust;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::plural::plural;
use finding::{Finding, Findings};

/// How thoroughly.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only read the whole database and every artifact, to check that nothing is damaged or missing
    #[arg(long)]
    pub integrity: bool,
}

/// Looks, and tells.
pub async fn run(args: Args, app: &App) -> Outcome {
    let mut findings = Findings::default();
    if args.integrity {
        integrity::check(app, &mut findings).await;
        return print(&findings, app);
    }
    let declaration = declaration(app, &mut findings);
    match connect::choose(&app.wish(), &app.around, Access::Existing) {
        Err(error) => findings.add(Finding::of_error("database", &error)),
        Ok(place) => {
            settings::list(app, &place, declaration.as_ref(), &mut findings);
            database::check(app, &place, &mut findings).await;
            match &place.target {
                Target::File(_) | Target::Postgres(_) => {
                    files::artifacts(app, &place.target, &mut findings).await;
                }
                // Its own machine's doctor tells.
                Target::Server(_) => {}
            }
        }
    }
    print(&findings, app)
}

fn print(findings: &Findings, app: &App) -> Outcome {
    let exit = if findings.is_fine() { Exit::Done } else { Exit::Fault };
    app.screen.answer(findings, "", || findings.lines())?;
    Ok(exit)
}

fn declaration(app: &App, findings: &mut Findings) -> Option<Declaration> {
    let Some(path) = find_upward(&app.around.folder) else {
        findings.add(Finding::fine("sprongus.toml", "none here or above; create one with `sprongus init`"));
        return None;
    };
    if let Some(doubt) = trust::doubt(&path, &app.around) {
        findings.add(Finding::wrong("trust", doubt.text(), doubt.remedy()));
    }
    match Declaration::load(&path) {
        Ok(declaration) => {
            let kinds = plural(declaration.kinds.len(), "kind");
            findings.add(Finding::fine("sprongus.toml", format!("{}, {kinds}", path.display())));
            let remedy = "pass input as data, not as part of a program";
            findings.extend(
                declaration
                    .warnings()
                    .map(|warning| Finding::wrong("sprongus.toml", warning.to_string(), remedy)),
            );
            // A worker here would refuse to start.
            if let Err((why, remedy)) = sprongus_worker::check_default_scratch() {
                findings.add(Finding::wrong("work directories", why, remedy));
            }
            Some(declaration)
        }
        Err(fault) => {
            findings.add(Finding::wrong("sprongus.toml", fault.to_string(), "fix the file at that place"));
            None
        }
    }
}
