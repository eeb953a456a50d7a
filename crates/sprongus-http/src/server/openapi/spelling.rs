//! How values are spelt, and which of them may be absent.

use serde_json::{Value, json};

/// How what goes by a name is spelt, wherever it stands: in a schema, or in a path.
pub fn spell(owner: &str, name: &str, schema: &mut Value) {
    let name = match (owner, name) {
        ("Project" | "ProjectRequest", "id") => "projectId",
        ("Workspace" | "WorkspaceRequest" | "/v1/workspaces/{id}", "id") => "workspaceId",
        ("AgentTask" | "AgentTaskRequest", "id") => "agentTaskId",
        ("Schedule" | "ScheduleRequest", "id") => "scheduleId",
        ("Worker" | "/v1/workers/{id}" | "/v1/workers/{id}:drain", "id") => "workerId",
        (path, "id") if path.starts_with("/v1/schedules/") => "scheduleId",
        _ => name,
    };
    let (pattern, example) = match name {
        "id" | "stepId" | "runId" | "tokenId" => (
            "^([0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$",
            "01M80754D6E7K919GRYZ8BH27Q",
        ),
        "kind" | "kinds" => ("^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$", "script.pull"),
        "scheduleId" => ("^[a-z0-9][a-z0-9-]{0,63}$", "nightly"),
        "projectId" | "projects" => ("^[a-z0-9][a-z0-9-]{0,63}$", "board"),
        "workspaceId" => ("^[a-z0-9][a-z0-9-]{0,63}$", "acme"),
        "agentTaskId" => ("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", "task-7"),
        "workerId" | "claimedBy" => ("^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$", "host-1"),
        "since" | "before" => (
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
            "2026-11-30T09:00:00.000Z",
        ),
        _ => return,
    };
    let of_items = schema.get_mut("items");
    let spelt = match of_items {
        Some(items) => items,
        None => schema,
    };
    let is_text = spelt["type"] == "string"
        || spelt["type"].as_array().is_some_and(|all| all.contains(&json!("string")));
    if let Some(spelt) = spelt.as_object_mut() {
        spelt.retain(|_, part| !part.is_null());
        if is_text && !spelt.contains_key("enum") {
            spelt.entry("pattern").or_insert_with(|| json!(pattern));
            let is_uuid = spelt.get("format").is_some_and(|format| format == "uuid");
            let example = if is_uuid { "0199d3a4-91e4-74f1-9a2c-3f0e5b6c7d8e" } else { example };
            spelt.entry("example").or_insert_with(|| json!(example));
        }
    }
}

/// Answers of which some fields are left out.
const SPARSE: [&str; 4] = ["Problem", "BatchItem", "HeartbeatItem", "FinishItem"];

/// What all other answers have in common: absent values are `null`, never missing. Requests are known by refusing what nobody knows.
pub fn never_missing(owner: &str, schema: &mut Value) {
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

/// A parameter is there or it is not: `null` cannot be written in a URL or a header.
pub fn never_null(schema: &mut Value) {
    let Some(types) = schema.get_mut("type") else { return };
    if let Some(all) = types.as_array() {
        let rest: Vec<Value> = all.iter().filter(|one| *one != "null").cloned().collect();
        *types = match <[Value; 1]>::try_from(rest) {
            Ok([one]) => one,
            Err(several) => several.into(),
        };
    }
}
