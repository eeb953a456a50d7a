//! `doctor`: what was chosen and why, and what is amiss, each with its remedy.

mod finding;

use std::time::Duration;

use sprongus_core::list::ListFilter;
use sprongus_core::names::WorkspaceId;
use sprongus_core::text::excerpt;
use sprongus_core::{Error, Result, RunsService};
use sprongus_http::client::RunsClient;
use sprongus_worker::declaration::{Declaration, find_upward};

use crate::app::App;
use crate::connect::{self, Access, Behind, Connection, FileFacts, Place, Target};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::age::rough;
use finding::{Finding, Findings};

/// Less than this is soon used up by history and the write-ahead log.
const LITTLE_SPACE: u64 = 100 << 20;

/// A due run that nobody serves is a fault after this long.
const LONG_DUE: Duration = Duration::from_secs(60);

/// Clocks of one machine do not differ by more.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Looks, and tells.
pub async fn run(_: Args, app: &App) -> Outcome {
    let mut findings = Findings::default();
    declaration(app, &mut findings);
    match connect::choose(&app.wish(), &app.around, Access::Existing) {
        Err(error) => findings.add(Finding::of_error("database", &error)),
        Ok(place) => {
            database(app, &place, &mut findings).await;
            match &place.target {
                Target::File(_) | Target::Postgres(_) => kept_files(app, &place.target, &mut findings).await,
                // Its own machine's doctor tells.
                Target::Server(_) => {}
            }
        }
    }
    let exit = if findings.is_fine() { Exit::Done } else { Exit::Fault };
    app.screen.answer(&findings, "", || findings.lines())?;
    Ok(exit)
}

fn declaration(app: &App, findings: &mut Findings) {
    let Some(path) = find_upward(&app.around.folder) else {
        findings.add(Finding::fine("sprongus.toml", "none here or above; `sprongus init` writes one"));
        return;
    };
    findings.add(match Declaration::load(&path) {
        Ok(declaration) => {
            let kinds = declaration.kinds.len();
            Finding::fine("sprongus.toml", format!("{}, {kinds} kinds", path.display()))
        }
        Err(fault) => Finding::wrong("sprongus.toml", fault.to_string(), "correct the file where it says"),
    });
}

/// How long the place of artifacts may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

async fn kept_files(app: &App, target: &Target, findings: &mut Findings) {
    let keeping = match connect::artifacts::choose(target, &app.around) {
        Ok(keeping) => keeping,
        Err(error) => return findings.add(Finding::of_error("artifacts", &error)),
    };
    let chosen = format!("{} ({})", sprongus_artifacts::open(&keeping.place).place(), keeping.why);
    let checked = tokio::time::timeout(PATIENCE, sprongus_artifacts::check(&keeping.place)).await;
    match checked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return findings.add(Finding::wrong(
                "artifacts",
                format!("{chosen}: {}", error.message()),
                error.hint(),
            ));
        }
        Err(_) => {
            let remedy = "look at AWS_ENDPOINT and at the way there; without AWS_ACCESS_KEY_ID this machine's own role is asked for";
            return findings.add(Finding::wrong("artifacts", format!("{chosen}: no answer in time"), remedy));
        }
    }
    let alone =
        matches!((target, &keeping.place), (Target::Postgres(_), sprongus_artifacts::Place::Folder(_)));
    findings.add(Finding::fine("artifacts", if alone {
        format!("{chosen}; servers and workers on several machines need one place: a bucket, or a folder they share, as url in [artifacts]")
    } else {
        chosen
    }));
}

async fn database(app: &App, place: &Place, findings: &mut Findings) {
    let chosen = place.to_string();
    let facts = match &place.target {
        Target::File(path) => Some(connect::look(path)),
        Target::Postgres(_) | Target::Server(_) => None,
    };
    if let Some(facts) = &facts {
        disk(facts, findings);
        if !facts.exists && !place.is_named() {
            findings.add(Finding::fine("database", format!("{chosen}, made with the first run")));
            return;
        }
    }
    let connection = match app.connect(Access::Existing).await {
        Ok(connection) => connection,
        Err(error) => return findings.add(Finding::of_error("database", &error)),
    };
    findings.add(Finding::fine("database", chosen));
    if let Some(facts) = &facts {
        permissions(facts, findings);
    }
    if let Err(error) = health(&connection, findings).await {
        findings.add(Finding::of_error("engine", &error));
    }
    if let Err(error) = runs(app, &connection, findings).await {
        findings.add(Finding::of_error("runs", &error));
    }
}

fn permissions(facts: &FileFacts, findings: &mut Findings) {
    findings.add(match facts.open_to_others.as_slice() {
        [] => Finding::fine("permissions", "for its owner alone"),
        [path, ..] => {
            let remedy = format!("chmod 600 {}", path.display());
            Finding::wrong("permissions", format!("others may read or write {}", path.display()), remedy)
        }
    });
}

fn disk(facts: &FileFacts, findings: &mut Findings) {
    let Some(free) = facts.free else { return };
    let text = format!("{} MiB free", free >> 20);
    findings.add(if free < LITTLE_SPACE {
        Finding::wrong("disk", text, "free some space, or `sprongus runs prune`")
    } else {
        Finding::fine("disk", text)
    });
}

async fn health(connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let service = match &connection.behind {
        Behind::Service(service) => service,
        Behind::Server(client) => return server(client, findings).await,
    };
    let health = service.store().health(true).await?;
    findings.add(Finding::fine("engine", format!("{}, schema {}", health.engine, health.schema)));
    findings.add(if health.durable {
        Finding::fine("durability", "what is acknowledged outlives a power cut")
    } else {
        Finding::wrong(
            "durability",
            "a power cut may lose what was acknowledged",
            "use synchronous=FULL, or fsync, full_page_writes and synchronous_commit on",
        )
    });
    for fault in health.faults {
        findings.add(Finding::wrong(fault.what, fault.text, fault.remedy));
    }
    Ok(())
}

/// What a server says of itself and of the token; what its database is like in detail, its own machine's doctor tells.
async fn server(client: &RunsClient, findings: &mut Findings) -> Result<(), Error> {
    let token = client.own_token().await?;
    let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    findings.add(Finding::fine("token", format!("{}, may {scopes}", excerpt(&token.name, 64))));
    let ready = client.ready().await?;
    findings.add(Finding::fine("engine", format!("{}, schema {}", excerpt(&ready.engine, 64), ready.schema)));
    Ok(())
}

async fn runs(app: &App, connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let stats = connection.runs.stats().await?;
    let workers = connection.runs.workers().await?;
    findings.add(Finding::fine("workers", format!("{} alive", workers.len())));
    let due: u64 = stats.kinds.values().map(|kind| kind.due).sum();
    let oldest = stats.kinds.values().filter_map(|kind| kind.oldest_due_ms).max().map(Duration::from_millis);
    match oldest.filter(|_| due > 0) {
        None => findings.add(Finding::fine("queue", "nothing is due")),
        Some(oldest) => {
            let text = format!("{due} due, the oldest for {}", rough(oldest));
            findings.add(if workers.is_empty() && oldest > LONG_DUE {
                Finding::wrong("queue", format!("{text}, and no worker is alive"), "start `sprongus worker`")
            } else {
                Finding::fine("queue", text)
            });
        }
    }
    if let Behind::Service(service) = &connection.behind {
        clock(service, connection, findings).await?;
    }
    let workspace = app.globals.workspace.as_deref().unwrap_or(WorkspaceId::LOCAL);
    findings.add(Finding::fine("you", format!("{} in workspace {workspace}", app.around.user)));
    Ok(())
}

async fn clock(service: &RunsService, connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let now = service.store().now().await?;
    let newest = connection.runs.list(&ListFilter { limit: 1, ..ListFilter::default() }).await?;
    let ahead = newest.data.first().map(|run| run.created_at.since(now)).unwrap_or_default();
    findings.add(if ahead > CLOCK_SLACK {
        let text = format!("{now}, {} behind the newest run", rough(ahead));
        Finding::wrong("clock", text, "set the clock of this machine")
    } else {
        Finding::fine("clock", now.to_string())
    });
    Ok(())
}
