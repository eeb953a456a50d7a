//! A request for a run as one JSON object in the words of `POST /v1/runs`: a line of `--from FILE.jsonl`, or what a command hands to
//! its worker.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorCode, Result};
use crate::json::{self, Json};
use crate::run::{Due, NewRun};
use crate::values::text::excerpt;

const NAMES: &str = "kind, input, projectId, agentTaskId, idempotencyKey, maxAttempts, declaredMaxAttempts, priority, runAt, delayMs, \
                     expireAt, tags, id";

/// Reads a request. What its values may be is for [`crate::rules::enqueue::prepare`] to say.
///
/// # Errors
/// `malformed` for what is no JSON; `validation` for a field that no request has, or one of another type.
pub fn parse(text: &[u8]) -> Result<NewRun> {
    let value = json::parse_value(text.trim_ascii());
    let value = value.map_err(|fault| Error::new(ErrorCode::Malformed, fault.to_string()))?;
    let Value::Object(mut fields) = value else {
        return Err(Error::validation(
            "expected a JSON object, such as {\"kind\": \"script.pull\", \"input\": {}}",
        ));
    };
    let mut run = NewRun {
        kind: string(&mut fields, "kind")?.unwrap_or_default(),
        project_id: string(&mut fields, "projectId")?,
        agent_task_id: string(&mut fields, "agentTaskId")?,
        idempotency_key: string(&mut fields, "idempotencyKey")?,
        id: string(&mut fields, "id")?.map(|id| id.parse()).transpose()?,
        input: fields.remove("input").map(Json::from_value),
        max_attempts: number(&mut fields, "maxAttempts")?,
        declared_max_attempts: number(&mut fields, "declaredMaxAttempts")?,
        priority: number(&mut fields, "priority")?,
        expire_at: string(&mut fields, "expireAt")?.map(|time| time.parse()).transpose()?,
        ..NewRun::default()
    };
    let run_at = string(&mut fields, "runAt")?.map(|time| time.parse()).transpose()?;
    run.due = match (run_at, number::<u64>(&mut fields, "delayMs")?) {
        (None, None) => Due::Now,
        (Some(time), None) => Due::At(time),
        (None, Some(millis)) => Due::After(Duration::from_millis(millis)),
        (Some(_), Some(_)) => return Err(Error::validation("use runAt or delayMs, not both")),
    };
    if let Some(tags) = fields.remove("tags").filter(|tags| !tags.is_null()) {
        run.tags = serde_json::from_value(tags)
            .map_err(|_| Error::validation("tags: expected an object of strings"))?;
    }
    if let Some(name) = fields.keys().next() {
        return Err(Error::validation(format!("unknown field: {}", excerpt(name, 48)))
            .with_hint(format!("use: {NAMES}")));
    }
    Ok(run)
}

/// Writes a request, on one line, as [`parse`] reads it.
pub fn write(run: &NewRun) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    put("id", run.id.map(|id| id.to_string().into()));
    put("kind", Some(run.kind.clone().into()));
    put("projectId", run.project_id.clone().map(Value::from));
    put("agentTaskId", run.agent_task_id.clone().map(Value::from));
    put("input", run.input.as_ref().map(Json::to_value));
    put("idempotencyKey", run.idempotency_key.clone().map(Value::from));
    put("maxAttempts", run.max_attempts.map(Value::from));
    put("declaredMaxAttempts", run.declared_max_attempts.map(Value::from));
    put("priority", run.priority.map(Value::from));
    put("expireAt", run.expire_at.map(|time| time.to_string().into()));
    put("tags", (!run.tags.is_empty()).then(|| serde_json::json!(run.tags)));
    match run.due {
        Due::Now => {}
        Due::At(time) => put("runAt", Some(time.to_string().into())),
        Due::After(delay) => {
            put("delayMs", Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into()));
        }
    }
    Json::from_value(Value::Object(fields)).as_str().to_owned()
}

fn string(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Error::validation(format!("{name}: expected a string")))
        }
    }
}

fn number<T: TryFrom<u64>>(fields: &mut Map<String, Value>, name: &str) -> Result<Option<T>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().map(T::try_from) {
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) | None => Err(Error::validation(format!("{name}: expected a whole number"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::ids::RunId;

    #[test]
    fn what_is_written_is_read_again() {
        let at = "2026-11-30T12:00:00.000Z".parse().unwrap();
        for due in [Due::Now, Due::At(at), Due::After(Duration::from_millis(5))] {
            let run = NewRun {
                id: Some(RunId::default()),
                kind: "a/b".to_owned(),
                project_id: Some("p".to_owned()),
                agent_task_id: Some("t".to_owned()),
                input: Some(Json::from_value(serde_json::json!({"x": "a\nb"}))),
                idempotency_key: Some("k".to_owned()),
                max_attempts: Some(2),
                declared_max_attempts: Some(4),
                priority: Some(7),
                due,
                expire_at: Some(at),
                tags: [("k".to_owned(), "v".to_owned())].into(),
            };
            let text = write(&run);
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(parse(text.as_bytes()).unwrap(), run);
        }
        let least = NewRun { kind: "a".to_owned(), ..NewRun::default() };
        assert_eq!(parse(write(&least).as_bytes()).unwrap(), least);
    }
}
