//! The refusals that a route has because of what it is, written once under `components` and referred to; and the scope it needs.

use serde_json::{Map, Value, json};
use sprongus_core::{Error, ErrorCode};

use crate::problem::{MEDIA_TYPE, Problem};

/// Adds what a route may refuse with, and a `default` for generators that want one type for every refusal.
pub fn add(path: &str, operation: &mut Map<String, Value>) {
    let has = |part: &str| operation.get(part).is_some();
    let scopes = operation.get("security").cloned().unwrap_or_default();
    let is_open = scopes.as_array().is_none_or(|all| all.iter().all(|one| one.get("token").is_none()));
    let is_of_runs = path.contains("run");
    let is_written = scopes[0]["token"] == json!(["runs:write"]) && is_of_runs;
    let is_report = scopes[0]["token"] == json!(["runs:work"]) && is_of_runs && path.contains("{id}");
    let mut codes = vec![
        ErrorCode::Internal,
        ErrorCode::Unavailable,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Misdirected,
        ErrorCode::Malformed,
    ];
    if !is_open {
        codes.extend([ErrorCode::Unauthenticated, ErrorCode::Forbidden, ErrorCode::NotFound]);
        codes.extend([ErrorCode::Validation, ErrorCode::TimedOut]);
    }
    if has("requestBody") || path.contains("cancel") || path.contains("retry") || path.ends_with("prune") {
        codes.extend([ErrorCode::PayloadTooLarge, ErrorCode::UnsupportedMediaType]);
    }
    if is_written || is_report || path.ends_with(":approve") || path.ends_with(":reject") {
        codes.push(if is_report { ErrorCode::LeaseLost } else { ErrorCode::IllegalTransition });
    }
    // What goes by a name may be somebody else's.
    if ["/v1/workspaces/{id}", "/v1/agent-tasks", "/v1/runs:claim", "/v1/workers/{id}"].contains(&path) {
        codes.push(ErrorCode::Conflict);
    }
    if path.ends_with(":prune") {
        codes.push(ErrorCode::Conflict);
    }
    let may_wait = path.ends_with("/news") || path.ends_with("stream") || path == "/v1/runs:claim";
    if is_written || may_wait {
        codes.push(ErrorCode::RateLimited);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for code in codes {
        responses.entry(status(code).to_string()).or_insert_with(|| reference(&component(code)));
    }
    responses.sort_keys();
    responses.insert("default".to_owned(), reference(DEFAULT));
}

/// Says the scope in words and as `x-required-scopes`: a bearer token has none in OpenAPI.
pub fn require_scopes(operation: &mut Map<String, Value>) {
    let mut scopes: Vec<Value> = Vec::new();
    for alternative in operation.get_mut("security").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(named) = alternative.get_mut("token").and_then(Value::as_array_mut) {
            scopes.append(named);
        }
    }
    let names: Vec<String> =
        scopes.iter().filter_map(Value::as_str).map(|scope| format!("`{scope}`")).collect();
    let needs = match (names.as_slice(), operation.get("security").and_then(Value::as_array)) {
        ([], Some(all)) if all.iter().any(|one| one.get("token").is_some()) => "Requires a token.".to_owned(),
        ([], _) => "Requires no token.".to_owned(),
        (names, _) => format!("Requires a token with the scope {}.", names.join(" or ")),
    };
    let described = match operation.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text}\n\n{needs}"),
        Some(_) | None => needs,
    };
    operation.insert("description".to_owned(), json!(described));
    if !scopes.is_empty() {
        operation.insert("x-required-scopes".to_owned(), Value::Array(scopes));
    }
}

/// The responses of the closed list of errors, to be referred to.
pub fn components() -> Value {
    let mut all: Map<String, Value> =
        ErrorCode::ALL.into_iter().map(|code| (component(code), response(code))).collect();
    let any = json!({
        "description": "Any other error",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    all.insert(DEFAULT.to_owned(), any);
    Value::Object(all)
}

const DEFAULT: &str = "ApiError";

fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/responses/{component}")})
}

/// `lease_lost` as a component's name.
fn component(code: ErrorCode) -> String {
    let words = code.facts().name.split('_');
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// A client that is slow is told so by 408.
fn status(code: ErrorCode) -> u16 {
    if code == ErrorCode::TimedOut { 408 } else { code.facts().status }
}

fn response(code: ErrorCode) -> Value {
    let facts = code.facts();
    let example =
        Problem { status: status(code), ..Problem::new(&Error::new(code, facts.title.to_lowercase()), "") };
    json!({
        "description": format!("{}: `{}`", facts.title, facts.name),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    })
}
