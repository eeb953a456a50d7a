//! The OpenAPI document, made from the code: each route describes itself where it stands, and what all of them share is added
//! here. A test holds it to the router.

mod enums;
mod refusals;
pub mod route;
mod spelling;

use std::sync::LazyLock;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::OpenApi;

use super::routes::operator::{audit, prune, token};
use super::routes::runs::{artifact, cancel, enqueue, gate, read, retry, stream};
use super::routes::worker::{claim, cleaned, finish, heartbeat, progress, record, workdir};
use super::routes::{directory, health, metrics, runner_jobs, schedule, stats};
use crate::problem::Problem;
use crate::wire::words::{
    CodeName, FieldFault, GateAnswer, OperatorEventName, PassedGate, PhaseName, ReasonName, ScopeName,
    SortName, StateName, StepStatusName, StepTypeName, StreamName,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sprongus",
        description = "Durable background runs: enqueue, watch and execute them. Every error is a problem document (RFC 9457) with a `code` from a fixed list. Lists are paged: the last page is the one whose `nextCursor` is null. Requests that a client may have to repeat are safe to repeat.",
    ),
    tags(
        (name = "runs", description = "Enqueue and inspect runs"),
        (name = "work", description = "Claim runs and report on them, as a worker does"),
        (name = "gates", description = "Approve or reject runs waiting at a gate"),
        (name = "streams", description = "Follow events as server-sent events"),
        (name = "directory", description = "Projects, agent tasks, workers and kinds"),
        (name = "schedules", description = "Runs that the calendar makes"),
        (name = "administration", description = "Tokens, workspaces, retention, kinds, workers and the audit log"),
        (name = "runner jobs", description = "The same runs in the runner jobs format"),
        (name = "health", description = "Health of the server"),
    ),
    paths(
        enqueue::enqueue, enqueue::batch, read::list, read::gates, read::get, read::steps, read::events, read::logs, read::news,
        artifact::list, artifact::get, cancel::cancel, retry::retry, stats::stats,
        claim::claim, heartbeat::one, heartbeat::many, finish::succeed, finish::fail, finish::release, finish::many,
        gate::wait, progress::progress, record::log, record::step, record::record, cleaned::cleaned,
        artifact::put, workdir::put, workdir::get, workdir::delete,
        gate::approve, gate::reject, stream::of_run, stream::of_workspace,
        directory::projects, directory::create_project, directory::agent_tasks, directory::create_agent_task,
        directory::workers, directory::see_worker, directory::forget_worker, directory::drain_worker, directory::kinds,
        directory::pause_kind, directory::resume_kind, directory::workspaces, directory::create_workspace,
        directory::delete_workspace, token::tokens, token::create, token::revoke, token::own, audit::list, prune::prune,
        schedule::list, schedule::create, schedule::get, schedule::put, schedule::delete, schedule::pause, schedule::resume,
        schedule::trigger, schedule::backfill, schedule::next, schedule::preview, schedule::apply,
        runner_jobs::create, runner_jobs::list, runner_jobs::get, runner_jobs::cancel, runner_jobs::retry,
        health::livez, health::readyz, metrics::metrics, route::openapi, health::errors,
    ),
    components(schemas(
        StateName, ReasonName, PhaseName, StepTypeName, StepStatusName, StreamName, ScopeName, SortName, OperatorEventName, GateAnswer, CodeName, FieldFault,
        PassedGate, Problem,
    ))
)]
struct Api;

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{}\n", *DOCUMENT));
static ETAG: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::digest(TEXT.as_bytes());
    format!("\"{}\"", digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
});

/// The document, made once for the process.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as text, on one line.
pub fn text() -> &'static str {
    &TEXT
}

/// The entity tag of [`text`], quotation marks included.
pub fn etag() -> &'static str {
    &ETAG
}

fn build() -> Value {
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["info"]["contact"] = json!({"name": "Sprongus", "url": env!("CARGO_PKG_REPOSITORY")});
    document["servers"] =
        json!([{"url": "http://127.0.0.1:3000", "description": "Default address of `sprongus serve`"}]);
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "A token from `sprongus token create`"}
    });
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                spelling::spell(path, &name, &mut parameter["schema"]);
                spelling::never_null(&mut parameter["schema"]);
            }
            if let Some(operation) = operation.as_object_mut() {
                operation.retain(|_, part| !part.is_null());
                refusals::add(path, operation);
                refusals::require_scopes(operation);
            }
        }
    }
    document["components"]["responses"] = refusals::components();
    // What no field says alone.
    let both_times = json!({
        "properties": {"runAt": {"type": "string"}, "delayMs": {"type": "integer"}}, "required": ["runAt", "delayMs"],
    });
    document["components"]["schemas"]["RunRequest"]["not"] = both_times;
    let narrowed_admin = json!({
        "properties": {"projects": {"type": "array", "items": {}}, "scopes": {"contains": {"const": "admin"}}},
        "required": ["projects", "scopes"],
    });
    document["components"]["schemas"]["TokenRequest"]["not"] = narrowed_admin;
    let schemas = document["components"]["schemas"].as_object_mut();
    for (owner, schema) in schemas.into_iter().flatten() {
        for (name, property) in
            schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            spelling::spell(owner, name, property);
        }
        spelling::never_missing(owner, schema);
        enums::name(owner, schema);
    }
    document
}
