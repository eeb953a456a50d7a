//! nothing → queued. A request is checked whole, so that one answer names everything wrong with it; then it is made, or found
//! to have been made before.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Act, Transition, WriteSet};
use crate::error::{Error, ErrorCode, FieldError, Result};
use crate::json::{Json, MAX_INPUT_BYTES};
use crate::run::event::EventType;
use crate::run::state::State;
use crate::run::{ClaimRequest, Cleanup, Due, NewRun, Run};
use crate::schedule::Scheduled;
use crate::secrets;
use crate::values::ids::RunId;
use crate::values::names::{AgentTaskId, Kind, ProjectId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

/// Executions allowed where neither the request nor the kind says.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

/// The most executions a run may be allowed.
pub const MAX_ATTEMPTS: u32 = 100;

/// The longest delay: ten years.
pub const MAX_DELAY: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// The most tags, and the longest name and value of one, in bytes.
pub const MAX_TAGS: (usize, usize, usize) = (16, 64, 256);

/// The most runs in one call.
pub const MAX_BATCH: usize = 1_000;

/// A request that passed every check that needs no store.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The run's id, the caller's or a new one.
    pub id: RunId,
    /// The kind, checked.
    pub kind: Kind,
    /// The group it belongs to; the store checks that it exists.
    pub project_id: Option<ProjectId>,
    /// What it is made for; the store checks that it exists.
    pub agent_task_id: Option<AgentTaskId>,
    /// What it works on.
    pub input: Json,
    /// What makes a repeat give the same run.
    pub idempotency_key: Option<String>,
    /// The request in short.
    pub fingerprint: String,
    /// Executions allowed.
    pub max_attempts: u32,
    /// 0 to 100; higher is claimed first.
    pub priority: u8,
    /// When it is due.
    pub due: Due,
    /// Still unstarted then, it fails.
    pub expire_at: Option<Timestamp>,
    /// What to find it by.
    pub tags: std::collections::BTreeMap<String, String>,
    /// The trace of whoever enqueues it.
    pub traceparent: Option<String>,
    /// The schedule that makes it.
    pub scheduled: Option<Scheduled>,
}

/// Checks a request.
///
/// # Errors
/// `validation` with every bad field named; `payload_too_large` for an input over 1 MiB; `secret_in_input` with the place of
/// each secret, never its value.
pub fn prepare(new: &NewRun, traceparent: Option<&str>) -> Result<Prepared> {
    let mut faults = Vec::new();
    let kind = parsed::<Kind>(&mut faults, "/kind", Some(&new.kind));
    let project_id = parsed::<ProjectId>(&mut faults, "/projectId", new.project_id.as_deref());
    let agent_task_id = parsed::<AgentTaskId>(&mut faults, "/agentTaskId", new.agent_task_id.as_deref());
    let max_attempts = new.max_attempts.or(new.declared_max_attempts).unwrap_or(DEFAULT_MAX_ATTEMPTS);
    if max_attempts == 0 || max_attempts > MAX_ATTEMPTS {
        fault(
            &mut faults,
            "/maxAttempts",
            format!("maxAttempts must be 1 to {MAX_ATTEMPTS}: {max_attempts}"),
        );
    }
    let priority = new.priority.unwrap_or(0);
    if priority > 100 {
        fault(&mut faults, "/priority", format!("priority must be 0 to 100: {priority}"));
    }
    if let Due::After(delay) = new.due
        && delay > MAX_DELAY
    {
        fault(&mut faults, "/delayMs", "a delay is ten years at most".to_owned());
    }
    if let Some(key) = &new.idempotency_key
        && !is_key(key)
    {
        fault(
            &mut faults,
            "/idempotencyKey",
            "an idempotency key is 1 to 255 printable characters".to_owned(),
        );
    }
    check_tags(&mut faults, new);
    let Some(kind) = kind.filter(|_| faults.is_empty()) else { return Err(Error::invalid_fields(faults)) };

    let input = new.input.clone().unwrap_or_else(Json::empty_object);
    let value = checked_input(&input)?;
    refuse_secrets(&[
        ("/input", &value),
        ("/tags", &json!(new.tags)),
        ("/kind", &json!(new.kind)),
        ("/projectId", &json!(new.project_id)),
        ("/agentTaskId", &json!(new.agent_task_id)),
        ("/idempotencyKey", &json!(new.idempotency_key)),
    ])?;
    Ok(Prepared {
        id: new.id.unwrap_or_default(),
        fingerprint: fingerprint(new, &value),
        kind,
        project_id,
        agent_task_id,
        input,
        idempotency_key: new.idempotency_key.clone(),
        max_attempts,
        priority: u8::try_from(priority).unwrap_or(100),
        due: new.due,
        expire_at: new.expire_at,
        tags: new.tags.clone(),
        traceparent: traceparent.map(str::to_owned),
        scheduled: None,
    })
}

/// Refuses what looks like a secret in any of `parts`, each with the place where it stands.
///
/// # Errors
/// `secret_in_input` with the place of each, never its value.
pub fn refuse_secrets(parts: &[(&str, &Value)]) -> Result<()> {
    let found: Vec<FieldError> = parts
        .iter()
        .flat_map(|(root, value)| secrets::find(value).into_iter().map(move |finding| (root, finding)))
        .map(|(root, finding)| FieldError {
            pointer: format!("{root}{}", finding.pointer),
            message: format!("looks like a secret ({})", finding.rule),
        })
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let places = found.iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>().join(", ");
    let message = format!("the input holds a secret at {places}");
    Err(Error::new(ErrorCode::SecretInInput, message).with_fields(found))
}

/// Looks at the input of a run once more before it is executed: one that was enqueued by SQL was not looked through to the bottom.
///
/// # Errors
/// `secret_in_input`, as [`prepare`].
pub fn recheck_input(input: &Json) -> Result<()> {
    if !secrets::may_hold_secret(input.as_str()) {
        return Ok(());
    }
    refuse_secrets(&[("/input", &input.to_value())])
}

/// The run that a checked request makes, and its first event.
pub fn enqueue(request: &Prepared, workspace: &WorkspaceId, act: Act<'_>) -> WriteSet {
    let run_at = match request.due {
        Due::Now => act.now,
        Due::At(time) => time.max(act.now),
        Due::After(delay) => act.now.plus(delay),
    };
    let run = Run {
        id: request.id,
        workspace_id: workspace.clone(),
        project_id: request.project_id.clone(),
        agent_task_id: request.agent_task_id.clone(),
        kind: request.kind.clone(),
        input: request.input.clone(),
        state: State::Queued,
        priority: request.priority,
        progress: 0,
        attempt: 0,
        max_attempts: request.max_attempts,
        crashes: 0,
        gate: None,
        run_at,
        due_at: run_at,
        expire_at: request.expire_at,
        idempotency_key: request.idempotency_key.clone(),
        fingerprint: request.fingerprint.clone(),
        tags: request.tags.clone(),
        result: None,
        output_ref: None,
        error: None,
        epoch: 0,
        claimed_by: None,
        claimed_at: None,
        lease: ClaimRequest::DEFAULT_LEASE,
        lease_hash: None,
        blocked_on: None,
        lease_expires_at: None,
        closing_until: None,
        cleanup: Cleanup::None,
        last_report: None,
        traceparent: request.traceparent.clone(),
        scheduled: request.scheduled.clone(),
        last_seq: 0,
        started_at: None,
        finished_at: None,
        created_at: act.now,
        updated_at: act.now,
    };
    let delayed = (run_at > act.now).then_some(run_at);
    let mut new = Transition { run, events: Vec::with_capacity(1), steps: Vec::new() };
    new.push_event(EventType::Enqueued, act, json!({"kind": request.kind, "runAt": delayed}));
    WriteSet::making(new)
}

/// Whether `found`, which has the request's key or id, was made by the same request.
///
/// # Errors
/// `idempotency_key_reused` or, for an id, `conflict`; `conflict` also when the caller may not see it, which says no more.
pub fn compare(found: &Run, request: &Prepared, caller: &Caller) -> Result<()> {
    if !caller.may_touch(found.project_id.as_ref()) {
        return Err(taken());
    }
    if found.fingerprint == request.fingerprint && found.idempotency_key == request.idempotency_key {
        return Ok(());
    }
    if request.idempotency_key.is_some() && found.idempotency_key == request.idempotency_key {
        let message = format!("the idempotency key belongs to run {} with another request", found.id);
        return Err(Error::new(ErrorCode::IdempotencyKeyReused, message));
    }
    Err(Error::new(ErrorCode::Conflict, format!("run {} exists with another request", found.id)))
}

/// The refusal of a name that belongs to what the caller may not see: a run's id or key, or an agent task's id. What it belongs to is not
/// told.
pub fn taken() -> Error {
    Error::new(ErrorCode::Conflict, "the id or key is taken").with_hint("use another one")
}

/// The refusal of a request for a project nobody made.
pub fn unknown_project(id: &ProjectId) -> Error {
    unknown("/projectId", "project", id.as_str(), format!("make it with `sprongus projects create {id}`"))
}

/// The refusal of a request for an agent task nobody made.
pub fn unknown_agent_task(id: &AgentTaskId) -> Error {
    let hint = format!("make it with `sprongus agent-tasks create {id}`");
    unknown("/agentTaskId", "agent task", id.as_str(), hint)
}

/// The refusal of a request from a caller who is narrowed to other projects.
pub fn out_of_reach(project: Option<&ProjectId>) -> Error {
    match project {
        Some(project) => Error::not_found(format_args!("project: {project}"))
            .with_hint("`sprongus projects list` shows the projects of this token"),
        None => Error::validation("this token is restricted to projects: name one")
            .with_hint("use --project, or projectId over HTTP"),
    }
}

/// What the sound items of a batch are told that was to be made whole and was not.
pub fn not_made() -> Error {
    Error::validation("not made: another item of the batch was refused")
}

fn unknown(pointer: &str, what: &str, id: &str, hint: String) -> Error {
    let message = format!("no such {what}: {id}");
    let field = FieldError { pointer: pointer.to_owned(), message: message.clone() };
    Error::validation(message).with_fields(vec![field]).with_hint(hint)
}

fn parsed<T: std::str::FromStr<Err = Error>>(
    faults: &mut Vec<FieldError>,
    pointer: &str,
    text: Option<&str>,
) -> Option<T> {
    match text?.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            fault(faults, pointer, format!("{}; {}", error.message(), error.hint()));
            None
        }
    }
}

fn fault(faults: &mut Vec<FieldError>, pointer: &str, message: String) {
    faults.push(FieldError { pointer: pointer.to_owned(), message });
}

/// Whether `key` may be an idempotency key: 1 to 255 printable characters.
pub fn is_key(key: &str) -> bool {
    let length = key.chars().count();
    // Line feeds and tabs are printable in a text of many lines, which a key is not.
    let is_printable = matches!(crate::values::text::printable(key), std::borrow::Cow::Borrowed(_));
    (1..=255).contains(&length) && is_printable && !key.chars().any(char::is_control)
}

fn check_tags(faults: &mut Vec<FieldError>, new: &NewRun) {
    let (most, longest_name, longest_value) = MAX_TAGS;
    if new.tags.len() > most {
        fault(faults, "/tags", format!("at most {most} tags"));
    }
    for (name, value) in &new.tags {
        let short = !name.is_empty() && name.len() <= longest_name && value.len() <= longest_value;
        let clean = [name, value].iter().all(|text| !text.chars().any(char::is_control));
        if !short || !clean {
            let rule = format!(
                "a tag is a name of 1 to {longest_name} and a value of up to {longest_value} printable bytes"
            );
            fault(faults, "/tags", rule);
            return;
        }
    }
}

fn checked_input(input: &Json) -> Result<Value> {
    let size = input.as_str().len();
    if size > MAX_INPUT_BYTES {
        return Err(Error::new(
            ErrorCode::PayloadTooLarge,
            format!("an input is at most 1 MiB: {size} bytes"),
        ));
    }
    Ok(input.to_value())
}

/// SHA-256 over the canonical JSON of what was asked for: only the options given, a delay as given.
fn fingerprint(new: &NewRun, input: &Value) -> String {
    let mut asked = serde_json::Map::new();
    asked.insert("kind".to_owned(), json!(new.kind));
    asked.insert("input".to_owned(), input.clone());
    let mut given = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            asked.insert(name.to_owned(), value);
        }
    };
    given("projectId", new.project_id.as_ref().map(|id| json!(id)));
    given("agentTaskId", new.agent_task_id.as_ref().map(|id| json!(id)));
    given("maxAttempts", new.max_attempts.map(|most| json!(most)));
    given("priority", new.priority.map(|priority| json!(priority)));
    given("expireAt", new.expire_at.map(|time| json!(time)));
    given("tags", (!new.tags.is_empty()).then(|| json!(new.tags)));
    match new.due {
        Due::Now => {}
        Due::At(time) => given("runAt", Some(json!(time))),
        Due::After(delay) => {
            given("delayMs", Some(json!(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))))
        }
    }
    let text = Json::from_value(Value::Object(asked));
    Sha256::digest(text.as_str().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
