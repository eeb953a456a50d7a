//! The words that the OpenAPI document knows and the core spells for itself. A test holds the two together.

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(utoipa::ToSchema)]
        pub enum $name { $(#[doc = $word] #[schema(rename = $word)] $variant),+ }
    )+};
}

words! {
    /// Where a run stands.
    StateName {
        Queued = "queued", Running = "running", Succeeded = "succeeded", Failed = "failed", Canceled = "canceled",
    }
    /// What a queued run waits for.
    ReasonName { Gate = "gate", Time = "time", KindPaused = "kind_paused", Worker = "worker" }
    /// When in a run a step has its turn.
    PhaseName { Setup = "setup", Execution = "execution", Validation = "validation", Cleanup = "cleanup" }
    /// What a step does.
    StepTypeName { Command = "command", AiAction = "ai_action", Gate = "gate", Artifact = "artifact" }
    /// Where a step stands.
    StepStatusName {
        Pending = "pending", Running = "running", Completed = "completed", Failed = "failed", Skipped = "skipped",
    }
    /// Where a line was printed.
    StreamName { Stdout = "stdout", Stderr = "stderr", System = "system" }
    /// What a token allows.
    ScopeName {
        Read = "runs:read", Write = "runs:write", Approve = "runs:approve", Work = "runs:work", Settings = "settings:write", Admin = "admin",
    }
    /// What an operator did.
    OperatorEventName {
        TokenCreated = "operator.token_created", TokenRevoked = "operator.token_revoked",
        WorkspaceCreated = "operator.workspace_created", WorkspaceDeleted = "operator.workspace_deleted",
        ProjectCreated = "operator.project_created", KindPaused = "operator.kind_paused",
        KindResumed = "operator.kind_resumed", WorkerDrained = "operator.worker_drained", Pruned = "operator.pruned",
        FiguresRebuilt = "operator.figures_rebuilt",
        ScheduleCreated = "operator.schedule_created", ScheduleUpdated = "operator.schedule_updated",
        SchedulePaused = "operator.schedule_paused", ScheduleResumed = "operator.schedule_resumed",
        ScheduleDeleted = "operator.schedule_deleted", ScheduleTriggered = "operator.schedule_triggered",
        ScheduleBackfilled = "operator.schedule_backfilled", ScheduleSkipped = "schedule.skipped",
        ScheduleBroken = "schedule.broken", ScheduleRecovered = "schedule.recovered",
    }
    /// How a list is sorted.
    SortName { OldestFirst = "createdAt", NewestFirst = "-createdAt" }
    /// A person's answer at a gate.
    GateAnswer { Approved = "approved", Rejected = "rejected" }
    /// The closed list of things that go wrong.
    CodeName {
        Unauthenticated = "unauthenticated", Forbidden = "forbidden", NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed", Misdirected = "misdirected", IllegalTransition = "illegal_transition", LeaseLost = "lease_lost",
        Conflict = "conflict", PayloadTooLarge = "payload_too_large", UnsupportedMediaType = "unsupported_media_type",
        Malformed = "malformed", Validation = "validation", IdempotencyKeyReused = "idempotency_key_reused",
        SecretInInput = "secret_in_input", RateLimited = "rate_limited", TimedOut = "timed_out",
        Unavailable = "unavailable", SchemaMismatch = "schema_mismatch", Internal = "internal",
    }
}

/// Bytes as they are, without a form of ours.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes what is streamed")]
pub struct Binary(Vec<u8>);

/// One bad value of a request.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the core's own")]
pub struct FieldFault {
    /// Where it stands in the request: a JSON pointer (RFC 6901); of a query, a slash and the name.
    pointer: String,
    /// What is wrong with it.
    message: String,
}

/// The gate that a resumed run has passed.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the core's own")]
pub struct PassedGate {
    /// The step that waited.
    step_id: String,
    /// When waiting would have ended.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// The answer; null where the run passed without one.
    answer: Option<GateAnswer>,
    /// Who answered.
    by: Option<String>,
    /// The comment that came with it, up to 4 KiB.
    comment: Option<String>,
    /// Whether a claim has carried the run on since.
    resumed: bool,
}
