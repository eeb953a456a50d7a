-- The first schema: runs, what belongs to them, and what stands around them.
-- Times are RFC 3339 text in UTC with milliseconds, which sorts as time does; JSON is canonical text.
-- On `runs` and `run_events` foreign keys are deferred, triggers raise FAIL and no CHECK calls a function, for speed: an insert
-- that could ABORT after its first write makes SQLite copy every page it touches. These are single-row and checked before their
-- first write; that their JSON is JSON is the writer's care.

CREATE TABLE workspaces (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_tasks (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    title TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    project_id TEXT,
    agent_task_id TEXT,
    kind TEXT NOT NULL,
    input TEXT NOT NULL DEFAULT '{}',
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 100),
    progress INTEGER NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts INTEGER NOT NULL CHECK (max_attempts BETWEEN 1 AND 100),
    crashes INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    gate TEXT,
    run_at TEXT NOT NULL,
    expire_at TEXT,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    tags TEXT NOT NULL DEFAULT '{}',
    result TEXT,
    output_ref TEXT,
    error TEXT,
    epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    claimed_by TEXT,
    claimed_at TEXT,
    lease_ms INTEGER NOT NULL,
    lease_expires_at TEXT,
    closing_until TEXT,
    cleanup TEXT NOT NULL DEFAULT 'none' CHECK (cleanup IN ('none', 'owed', 'handed_out')),
    last_report TEXT,
    traceparent TEXT,
    last_seq INTEGER NOT NULL DEFAULT 0,
    started_at TEXT,
    finished_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    -- Where the run stands in the claim index and in the timer index; `rules::schedule` says what they are.
    ready INTEGER NOT NULL CHECK (ready IN (0, 1)),
    timer_at TEXT,
    FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id)
        DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (workspace_id, agent_task_id) REFERENCES agent_tasks (workspace_id, id)
        DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- Lists, newest first; each is a walk along its index.
CREATE INDEX runs_by_age ON runs (workspace_id, created_at DESC, id DESC);
CREATE INDEX runs_by_project ON runs (workspace_id, project_id, created_at DESC, id DESC) WHERE project_id IS NOT NULL;
CREATE INDEX runs_by_state ON runs (workspace_id, state, created_at DESC, id DESC);
CREATE INDEX runs_by_kind ON runs (workspace_id, kind, created_at DESC, id DESC);
CREATE INDEX runs_by_agent_task ON runs (workspace_id, agent_task_id, created_at DESC, id DESC)
    WHERE agent_task_id IS NOT NULL;
CREATE UNIQUE INDEX runs_idempotency ON runs (workspace_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- What can be claimed, kind by kind in the order it is to be claimed: another kind's backlog costs nothing.
CREATE INDEX runs_claim ON runs (workspace_id, kind, priority DESC, run_at, id) WHERE ready = 1;
-- What time will change: delays, backoffs, leases, gates, expiries.
CREATE INDEX runs_timer ON runs (workspace_id, timer_at) WHERE timer_at IS NOT NULL;

-- What belongs to a run has no workspace of its own, so that it cannot be in another one than its run.
CREATE TABLE run_steps (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('setup', 'execution', 'validation', 'cleanup')),
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('command', 'ai_action', 'gate', 'artifact')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'skipped')),
    output TEXT,
    tokens_in INTEGER,
    tokens_out INTEGER,
    started_at TEXT,
    completed_at TEXT,
    duration_ms INTEGER,
    PRIMARY KEY (run_id, epoch, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_events (
    -- The order of commits; never used twice, so that a stream can go on behind it.
    pos INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    seq INTEGER NOT NULL,
    step_id TEXT,
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    payload TEXT NOT NULL DEFAULT '{}',
    UNIQUE (run_id, seq)
) STRICT;

-- A chunk of lines as one JSON array; `first` is the number of its first line.
CREATE TABLE run_logs (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (run_id, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_artifacts (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    location TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(scopes)),
    projects TEXT CHECK (json_valid(projects)),
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    last_used_at TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    kinds TEXT CHECK (json_valid(kinds)),
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1)),
    seen_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE kinds (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    max_running INTEGER CHECK (max_running > 0),
    PRIMARY KEY (workspace_id, kind)
) STRICT, WITHOUT ROWID;

-- What each named claim gave, so that its repeat gives the same; kept for an hour.
CREATE TABLE claims (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    claim_id TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    claimed_at TEXT NOT NULL,
    runs TEXT NOT NULL CHECK (json_valid(runs)),
    PRIMARY KEY (workspace_id, claim_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_age ON claims (claimed_at);

-- The runs that retention is about to take: what stands here, and only that, may be deleted.
CREATE TABLE pruning (
    run_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER pruning_takes_ended_runs BEFORE INSERT ON pruning
WHEN NOT EXISTS (
    SELECT 1 FROM runs WHERE id = NEW.run_id AND state IN ('succeeded', 'failed', 'canceled')
)
BEGIN SELECT RAISE(ABORT, 'a run that has not ended cannot be pruned'); END;

-- History cannot be rewritten. A run goes by retention or with its workspace; an event goes with its run; and REPLACE, which
-- deletes without asking the triggers above it, is no way around.
CREATE TRIGGER runs_stay BEFORE DELETE ON runs
WHEN NOT EXISTS (SELECT 1 FROM pruning WHERE run_id = OLD.id)
    AND EXISTS (SELECT 1 FROM workspaces WHERE id = OLD.workspace_id)
BEGIN SELECT RAISE(ABORT, 'a run is deleted by retention or with its workspace only'); END;

CREATE TRIGGER runs_are_not_replaced BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM runs WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'the run exists'); END;

CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON run_events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;

CREATE TRIGGER events_stay BEFORE DELETE ON run_events
WHEN EXISTS (SELECT 1 FROM runs WHERE id = OLD.run_id)
BEGIN SELECT RAISE(ABORT, 'an event is deleted with its run only'); END;

CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON run_events
WHEN EXISTS (SELECT 1 FROM run_events WHERE run_id = NEW.run_id AND seq = NEW.seq)
    OR EXISTS (SELECT 1 FROM run_events WHERE pos = NEW.pos)
BEGIN SELECT RAISE(FAIL, 'the event exists'); END;

INSERT INTO workspaces (id, created_at) VALUES ('default', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
