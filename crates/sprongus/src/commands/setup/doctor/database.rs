//! The database: whether it can be opened, what it promises, and what it finds amiss itself.

use sprongus_core::Error;
use sprongus_core::values::text::excerpt;
use sprongus_http::client::RunsClient;

use super::finding::{Finding, Findings};
use super::{clock, durability, files, queue, schedules};
use crate::app::App;
use crate::connect::{Access, Behind, Connection, Place, Target};
use crate::env::trust;

/// Looks at the database, and at what is in it.
pub async fn check(app: &App, place: &Place, findings: &mut Findings) {
    let chosen = place.to_string();
    let facts = match &place.target {
        Target::File(path) => Some((path, crate::env::file::inspect(path))),
        Target::Postgres(_) | Target::Server(_) => None,
    };
    if let Some((path, facts)) = &facts {
        files::disk(path, facts, findings);
        if !facts.exists && !place.is_named() {
            findings.add(Finding::fine("database", format!("{chosen}, created by the first run")));
            return;
        }
    }
    if let Some((path, _)) = facts.as_ref().filter(|(_, facts)| facts.exists) {
        findings.extend(files::shut(path, &app.around.user));
    }
    let connection = match app.connect(Access::Existing).await {
        Ok(connection) => connection,
        Err(error) => return findings.add(Finding::of_error("database", &error)),
    };
    findings.add(Finding::fine("database", chosen));
    if let Some((path, facts)) = &facts {
        findings.add(match trust::folder_of_database(path) {
            Some(doubt) => Finding::wrong("permissions", doubt.text(), doubt.remedy()),
            None => files::permissions(facts),
        });
    }
    if let Err(error) = health(&connection, findings).await {
        findings.add(Finding::of_error("engine", &error));
    }
    if let Err(error) = queue::check(&*connection.runs, findings).await {
        findings.add(Finding::of_error("runs", &error));
    }
    if let Err(error) = schedules::check(&connection, findings).await {
        findings.add(Finding::of_error("schedules", &error));
    }
    if let Behind::Service { service, .. } = &connection.behind
        && let Err(error) = clock::check(service, &*connection.runs, findings).await
    {
        findings.add(Finding::of_error("clock", &error));
    }
}

async fn health(connection: &Connection, findings: &mut Findings) -> Result<(), Error> {
    let service = match &connection.behind {
        Behind::Service { service, .. } => service,
        Behind::Server(client) => return server(client, findings).await,
    };
    let health = service.store().health(true).await?;
    findings.add(Finding::fine("engine", format!("{}, schema {}", health.engine, health.schema)));
    let file = match &connection.place.target {
        Target::File(path) => Some(path.as_path()),
        Target::Postgres(_) | Target::Server(_) => None,
    };
    findings.add(durability::finding(&health, file));
    let is_damaged = health.problems.iter().any(|problem| problem.what == "integrity");
    if let Some(not_checked) = health.not_checked.filter(|_| !is_damaged) {
        findings.add(Finding::fine("integrity", not_checked));
    }
    for problem in health.problems {
        findings.add(Finding::wrong(problem.what, problem.text, problem.remedy));
    }
    Ok(())
}

/// What a server says of itself and of the token; what its database is like in detail, its own machine's doctor tells.
async fn server(client: &RunsClient, findings: &mut Findings) -> Result<(), Error> {
    let token = client.own_token().await?;
    let scopes = token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ");
    findings.add(Finding::fine("token", format!("{}, scopes: {scopes}", excerpt(&token.name, 64))));
    let ready = client.ready().await?;
    findings.add(Finding::fine("engine", format!("{}, schema {}", excerpt(&ready.engine, 64), ready.schema)));
    Ok(())
}
