-- What every cut has. A word between at-signs is filled in for each.
CREATE TABLE workspaces (id text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE projects (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id text NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE TABLE agent_tasks (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id text NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE TABLE runs (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    project_id text,
    agent_task_id text,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 128),
    input @json@ NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 100),
    progress smallint NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts integer NOT NULL CHECK (max_attempts BETWEEN 1 AND 100),
    crashes integer NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    gate @json@,
    run_at timestamptz NOT NULL,
    expire_at timestamptz,
    idempotency_key text,
    fingerprint text NOT NULL,
    tags @json@ NOT NULL DEFAULT '{}',
    result @json@,
    output_ref text,
    error text,
    epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    claimed_by text,
    claimed_at timestamptz,
    lease_ms bigint NOT NULL,
    lease_expires_at timestamptz,
    closing_until timestamptz,
    cleanup text NOT NULL DEFAULT 'none' CHECK (cleanup IN ('none', 'owed', 'handed_out')),
    last_report text,
    traceparent text,
    last_seq bigint NOT NULL DEFAULT 0,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- When to look at the run again: indexed in `wide` alone, the key of the timer's row in `timer_row`.
    timer_at timestamptz,
    FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_task_id) REFERENCES agent_tasks (workspace_id, id)
) WITH (fillfactor = @fill@);
CREATE INDEX runs_by_age ON runs (workspace_id, created_at, id);
CREATE INDEX runs_by_project ON runs (workspace_id, project_id, created_at);
CREATE INDEX runs_by_kind ON runs (workspace_id, kind, created_at);
CREATE INDEX runs_by_agent_task ON runs (workspace_id, agent_task_id, created_at) WHERE agent_task_id IS NOT NULL;
CREATE UNIQUE INDEX runs_idempotency ON runs (workspace_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE run_events (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL,
    seq bigint NOT NULL,
    step_id uuid,
    type text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    payload @json@ NOT NULL DEFAULT '{}',
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    pos bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, seq)
);
@key@
CREATE TABLE claims (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    claim_id text NOT NULL,
    worker_id text NOT NULL,
    claimed_at timestamptz NOT NULL,
    run_ids uuid[] NOT NULL,
    epochs bigint[] NOT NULL,
    PRIMARY KEY (workspace_id, claim_id)
);
CREATE INDEX claims_by_age ON claims (workspace_id, claimed_at);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an event is never changed';
END
$$;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON run_events FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON run_events FOR EACH STATEMENT EXECUTE FUNCTION refuse();
