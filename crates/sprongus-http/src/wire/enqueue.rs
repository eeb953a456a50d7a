//! Asking for runs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sprongus_core::error::FieldError;
use sprongus_core::json::Json;
use sprongus_core::run::{Due, NewRun};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};

use super::{given, millis, objects};

/// A request to enqueue a run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnqueueBody {
    /// An id chosen by the client; the same request with the same id is a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub id: Option<RunId>,
    /// What it does: `[A-Za-z0-9][A-Za-z0-9._/-]{0,127}`.
    #[cfg_attr(
        feature = "server",
        schema(example = "script.pull", pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    )]
    pub kind: String,
    /// The project it belongs to, which must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The agent task it belongs to, which must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_task_id: Option<String>,
    /// Input: any JSON up to 1 MiB; default: `{}`. Secrets are refused; pass `secret://env/NAME` instead.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value, example = json!({"path": "act-1.md"})))]
    pub input: Option<Value>,
    /// 1 to 255 printable characters; the same request with the same key is a replay. Or use the header `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
    /// Maximum number of attempts, 1 to 100; default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 100))]
    pub max_attempts: Option<u32>,
    /// The kind's declared maximum, used if `maxAttempts` is omitted; ignored when requests are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 100))]
    pub declared_max_attempts: Option<u32>,
    /// 0 to 100, higher first; default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub priority: Option<u32>,
    /// Do not start before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub run_at: Option<Timestamp>,
    /// Do not start before this much time has passed; instead of `runAt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Fail the run if it has not started by this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub expire_at: Option<Timestamp>,
    /// Up to 16 tags for filtering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

impl EnqueueBody {
    /// As the core has it.
    ///
    /// # Errors
    /// `validation`: due at two times.
    pub fn into_new(self) -> Result<NewRun> {
        let due = match (self.run_at, self.delay_ms) {
            (None, None) => Due::Now,
            (Some(time), None) => Due::At(time),
            (None, Some(delay)) => Due::After(Duration::from_millis(delay)),
            (Some(_), Some(_)) => {
                let message = "use runAt or delayMs, not both".to_owned();
                let field = FieldError { pointer: "/delayMs".to_owned(), message };
                return Err(Error::invalid_fields(vec![field]));
            }
        };
        Ok(NewRun {
            id: self.id,
            kind: self.kind,
            project_id: self.project_id,
            agent_task_id: self.agent_task_id,
            input: self.input.map(Json::from_value),
            idempotency_key: self.idempotency_key,
            max_attempts: self.max_attempts,
            priority: self.priority,
            due,
            expire_at: self.expire_at,
            tags: self.tags.unwrap_or_default(),
            declared_max_attempts: self.declared_max_attempts,
        })
    }
}

impl From<NewRun> for EnqueueBody {
    fn from(new: NewRun) -> Self {
        let (run_at, delay_ms) = match new.due {
            Due::Now => (None, None),
            Due::At(time) => (Some(time), None),
            Due::After(delay) => (None, Some(millis(delay))),
        };
        Self {
            id: new.id,
            kind: new.kind,
            project_id: new.project_id,
            agent_task_id: new.agent_task_id,
            input: new.input.map(|input| input.to_value()),
            idempotency_key: new.idempotency_key,
            max_attempts: new.max_attempts,
            declared_max_attempts: new.declared_max_attempts,
            priority: new.priority,
            run_at,
            delay_ms,
            expire_at: new.expire_at,
            tags: (!new.tags.is_empty()).then_some(new.tags),
        }
    }
}

/// A request to enqueue up to 1,000 runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = BatchRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchBody {
    /// The requests, 1 to 1,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 1_000))]
    pub runs: Vec<EnqueueBody>,
    /// All or nothing (default: true); `false` enqueues the valid items and answers each one separately.
    #[serde(default = "yes")]
    pub atomic: bool,
}

fn yes() -> bool {
    true
}
