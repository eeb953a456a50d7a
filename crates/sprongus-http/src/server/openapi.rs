//! The OpenAPI document, made from the code: each route describes itself where it stands, and what all of them share is added
//! here. A test holds it to the router.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use sprongus_core::{Error, ErrorCode};
use utoipa::OpenApi;

use super::routes::{
    artifact, cancel, claim, cleaned, directory, enqueue, finish, gate, health, heartbeat, metrics, progress,
    prune, read, record, retry, runner_jobs, stats, stream, token, workdir,
};
use crate::problem::{MEDIA_TYPE, Problem};
use crate::wire::words::{
    CodeName, FieldFault, GateAnswer, PassedGate, PhaseName, ReasonName, ScopeName, SortName, StateName,
    StepStatusName, StepTypeName, StreamName,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sprongus",
        description = "Durable runs: enqueue them, watch them, work on them. Every error is a problem document (RFC 9457) whose \
                       `code` is of a closed list. Lists are pages: only a `nextCursor` of null ends one. Whatever a client \
                       may have to repeat is safe to repeat.",
    ),
    tags(
        (name = "runs", description = "Enqueue runs and look at them"),
        (name = "work", description = "Claim runs and report on them: what a worker does"),
        (name = "gates", description = "Answer runs that wait for a person"),
        (name = "streams", description = "Follow what happens, as server-sent events"),
        (name = "directory", description = "What stands around the runs"),
        (name = "administration", description = "Tokens, workspaces, retention, kinds and workers"),
        (name = "runner jobs", description = "The same runs in the words of the runner jobs' design"),
        (name = "health", description = "Whether the server lives and works"),
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
        directory::delete_workspace, token::tokens, token::create, token::revoke, token::own, prune::prune,
        runner_jobs::create, runner_jobs::list, runner_jobs::get, runner_jobs::cancel, runner_jobs::retry,
        health::livez, health::readyz, metrics::metrics, health::openapi, health::errors,
    ),
    components(schemas(
        StateName, ReasonName, PhaseName, StepTypeName, StepStatusName, StreamName, ScopeName, SortName, GateAnswer, CodeName, FieldFault,
        PassedGate, Problem,
    ))
)]
struct Api;

static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", *DOCUMENT));

/// The document.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as text.
pub fn text() -> &'static str {
    &TEXT
}

fn build() -> Value {
    let mut document = serde_json::to_value(Api::openapi()).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["components"]["securitySchemes"] = json!({
        "token": {"type": "http", "scheme": "bearer", "description": "A token of `sprongus token create`"}
    });
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default().to_owned();
                spell(path, &name, &mut parameter["schema"]);
            }
            if let Some(operation) = operation.as_object_mut() {
                operation.retain(|_, part| !part.is_null());
                complete(path, operation);
            }
        }
    }
    // What no field says alone.
    let both_times = json!({"properties": {"runAt": {"type": "string"}, "delayMs": {"type": "integer"}}, "required": ["runAt", "delayMs"]});
    document["components"]["schemas"]["NewRun"]["not"] = both_times;
    let narrowed_admin = json!({
        "properties": {"projects": {"type": "array"}, "scopes": {"contains": {"const": "admin"}}}, "required": ["projects", "scopes"],
    });
    document["components"]["schemas"]["NewToken"]["not"] = narrowed_admin;
    let schemas = document["components"]["schemas"].as_object_mut();
    for (owner, schema) in schemas.into_iter().flatten() {
        for (name, property) in
            schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            spell(owner, name, property);
        }
        never_missing(owner, schema);
    }
    document
}

/// How what goes by a name is spelt, wherever it stands: in a schema, or in a path.
fn spell(owner: &str, name: &str, schema: &mut Value) {
    let name = match (owner, name) {
        ("Project" | "Workspace" | "/v1/workspaces/{id}", "id") => "workspaceId",
        ("AgentTask", "id") => "agentTaskId",
        ("Worker" | "/v1/workers/{id}" | "/v1/workers/{id}:drain", "id") => "workerId",
        _ => name,
    };
    let pattern = match name {
        "id" | "stepId" | "runId" => {
            "^([0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
        }
        "kind" | "kinds" => "^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$",
        "projectId" | "projects" | "workspaceId" => "^[a-z0-9][a-z0-9-]{0,63}$",
        "agentTaskId" => "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        "workerId" | "claimedBy" => "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$",
        "since" | "before" => {
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
        }
        _ => return,
    };
    let of_items = schema.get_mut("items");
    let spelt = match of_items {
        Some(items) => items,
        None => schema,
    };
    let is_text = spelt["type"] == "string"
        || spelt["type"].as_array().is_some_and(|all| all.contains(&json!("string")));
    if is_text && spelt.get("pattern").is_none() && spelt.get("enum").is_none() {
        spelt["pattern"] = json!(pattern);
    }
    if let Some(spelt) = spelt.as_object_mut() {
        spelt.retain(|_, part| !part.is_null());
    }
}

/// Answers of which some fields are left out.
const SPARSE: [&str; 4] = ["Problem", "BatchItem", "HeartbeatItem", "FinishItem"];

/// What all other answers have in common: absent values are `null`, never missing. Requests are known by refusing what nobody knows.
fn never_missing(owner: &str, schema: &mut Value) {
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        never_missing(owner, part);
    }
    let is_request = schema.get("additionalProperties") == Some(&Value::Bool(false));
    if let Some(properties) = schema.get("properties").and_then(Value::as_object)
        && !is_request
        && !SPARSE.contains(&owner)
    {
        schema["required"] = properties.keys().map(|name| json!(name)).collect();
    }
}

/// The refusals that a route has because of what it is.
fn complete(path: &str, operation: &mut Map<String, Value>) {
    let has = |part: &str| operation.get(part).is_some();
    let scopes = operation.get("security").cloned().unwrap_or_default();
    let is_open = scopes.as_array().is_none_or(|all| all.iter().all(|one| one.get("token").is_none()));
    let is_of_runs = path.contains("run");
    let is_written = scopes[0]["token"] == json!(["runs:write"]) && is_of_runs;
    let is_report = scopes[0]["token"] == json!(["runs:work"]) && is_of_runs && path.contains("{id}");
    let mut codes = vec![ErrorCode::Internal, ErrorCode::Unavailable, ErrorCode::MethodNotAllowed];
    if !is_open {
        codes.extend([
            ErrorCode::Unauthenticated,
            ErrorCode::Forbidden,
            ErrorCode::NotFound,
            ErrorCode::Malformed,
        ]);
        codes.extend([ErrorCode::Validation, ErrorCode::TimedOut]);
    }
    if has("requestBody") || path.contains("cancel") || path.contains("retry") || path.ends_with("prune") {
        codes.extend([ErrorCode::PayloadTooLarge, ErrorCode::UnsupportedMediaType]);
    }
    if is_written || is_report || path.ends_with(":approve") || path.ends_with(":reject") {
        codes.push(if is_report { ErrorCode::LeaseLost } else { ErrorCode::IllegalTransition });
    }
    if path == "/v1/workspaces/{id}" {
        codes.push(ErrorCode::Conflict);
    }
    if is_written {
        codes.push(ErrorCode::RateLimited);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for code in codes {
        let facts = code.facts();
        // A client that is slow is told so by 408.
        let status = if code == ErrorCode::TimedOut { 408 } else { facts.status };
        let example = Problem { status, ..Problem::new(&Error::new(code, facts.title.to_lowercase()), "") };
        let response = json!({
            "description": format!("{}: `{}`", facts.title, facts.name),
            "content": {MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }},
        });
        responses.entry(status.to_string()).or_insert(response);
    }
    responses.sort_keys();
}
