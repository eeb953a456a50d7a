-- The first schema: runs, what belongs to them, and what stands around them. Applied by the database's owner; no superuser.
--
-- What changes often has no index: claiming, heartbeating and finishing a run are HOT updates of its row in `runs`, which needs
-- room in its page (fillfactor). What is waiting stands in two narrow tables beside it, `run_queue` and `run_timers`, and each
-- live run is in at least one of them. docs/decisions/0010-how-postgres-is-cut.md has the measurements.

CREATE TABLE workspaces (
    id text NOT NULL PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
);

CREATE TABLE projects (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id text NOT NULL CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE agent_tasks (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id text NOT NULL CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    title text,
    created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE runs (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    project_id text,
    agent_task_id text,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 128),
    input jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
    priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 100),
    progress smallint NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts integer NOT NULL CHECK (max_attempts BETWEEN 1 AND 100),
    crashes integer NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    gate jsonb,
    run_at timestamptz NOT NULL,
    expire_at timestamptz,
    idempotency_key text,
    fingerprint text NOT NULL,
    tags jsonb NOT NULL DEFAULT '{}',
    result jsonb,
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
    -- Set while the run is failed or canceled: what a list of those walks. Success leaves it alone, so it costs success nothing.
    ended_as text CHECK (ended_as IN ('failed', 'canceled')),
    FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_task_id) REFERENCES agent_tasks (workspace_id, id)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Lists, newest first; each is a walk along its index. None holds a column that claim, heartbeat or success changes.
CREATE INDEX runs_by_age ON runs (workspace_id, created_at, id);
CREATE INDEX runs_by_kind ON runs (workspace_id, kind, created_at, id);
CREATE INDEX runs_by_project ON runs (workspace_id, project_id, created_at, id) WHERE project_id IS NOT NULL;
CREATE INDEX runs_by_agent_task ON runs (workspace_id, agent_task_id, created_at, id) WHERE agent_task_id IS NOT NULL;
CREATE INDEX runs_by_bad_end ON runs (workspace_id, ended_as, created_at, id) WHERE ended_as IS NOT NULL;
CREATE UNIQUE INDEX runs_idempotency ON runs (workspace_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What can be claimed, kind by kind in the order it is to be claimed: another kind's backlog, or another tenant's, costs nothing.
-- A row goes when its run is claimed. `rank` is 100 - priority; `plain` says that claiming it needs no second look (no gate behind
-- it, no expiry, no CLEANUP owed).
CREATE TABLE run_queue (
    workspace_id text NOT NULL,
    kind text NOT NULL,
    rank smallint NOT NULL,
    run_at timestamptz NOT NULL,
    id uuid NOT NULL,
    project_id text,
    plain boolean NOT NULL,
    PRIMARY KEY (workspace_id, kind, rank, run_at, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- What time will change: delays, backoffs, gates, expiries, and the leases of one claim in one row. A row is a reminder to look at
-- its runs at `due_at`, no statement about them: one that is late, early or of an epoch gone by is dropped or put off.
CREATE TABLE run_timers (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    run_ids uuid[] NOT NULL,
    epochs bigint[] NOT NULL,
    PRIMARY KEY (workspace_id, due_at, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE run_steps (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    epoch bigint NOT NULL,
    ordinal bigint NOT NULL,
    id uuid NOT NULL,
    attempt integer NOT NULL,
    phase text NOT NULL CHECK (phase IN ('setup', 'execution', 'validation', 'cleanup')),
    name text NOT NULL,
    type text NOT NULL CHECK (type IN ('command', 'ai_action', 'gate', 'artifact')),
    status text NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'skipped')),
    output text,
    tokens_in bigint,
    tokens_out bigint,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms bigint,
    PRIMARY KEY (run_id, epoch, ordinal)
);

-- `pos` and `tx` give the order of a stream over a workspace: neither ids nor identity values are in the order of commits. There
-- is no foreign key to `runs`: its check at each event costs more than the event; the triggers below hold the two together.
CREATE TABLE run_events (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL,
    seq bigint NOT NULL,
    step_id uuid,
    type text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    -- On `run.succeeded` alone: when its run was made. A run succeeds once and for good, so this is the list of those that did.
    run_created_at timestamptz,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    pos bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX run_events_of_success ON run_events (workspace_id, run_created_at, run_id) WHERE type = 'run.succeeded';
CREATE INDEX run_events_by_pos ON run_events USING brin (pos) WITH (pages_per_range = 32, autosummarize = on);

-- A chunk of lines as one JSON array; `first` is the number of its first line.
CREATE TABLE run_logs (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first bigint NOT NULL,
    lines bigint NOT NULL,
    attempt integer NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (run_id, first)
);

CREATE TABLE run_artifacts (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    content_type text NOT NULL,
    location text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, name)
);

CREATE TABLE api_tokens (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name text NOT NULL,
    hash text NOT NULL,
    scopes jsonb NOT NULL DEFAULT '[]',
    projects jsonb,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    UNIQUE (workspace_id, hash)
);
CREATE INDEX api_tokens_by_hash ON api_tokens (hash);

CREATE TABLE workers (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    id text NOT NULL,
    kinds jsonb,
    host text NOT NULL,
    pid bigint NOT NULL,
    version text NOT NULL,
    concurrency bigint NOT NULL,
    draining boolean NOT NULL DEFAULT false,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITH (fillfactor = 50);

CREATE TABLE kinds (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    max_running integer CHECK (max_running > 0),
    PRIMARY KEY (workspace_id, kind)
);

-- What each named claim gave, so that its repeat gives the same; kept for an hour.
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

-- The runs that retention is about to take: what stands here, and only that, may be deleted.
CREATE TABLE pruning (
    workspace_id text NOT NULL,
    run_id uuid NOT NULL PRIMARY KEY
);

-- Tenants. Each statement says which workspace it is for, and the policy says it again; a statement that forgets sees nothing. FORCE
-- holds the owner to it too. Foreign keys bypass policies by design of Postgres, which is why every one that could lead into
-- another workspace is composite or of an id that a statement already found under the policy.
DO $$
DECLARE
    tenant text;
BEGIN
    FOREACH tenant IN ARRAY ARRAY['projects', 'agent_tasks', 'runs', 'run_queue', 'run_timers', 'run_steps', 'run_events',
        'run_logs', 'run_artifacts', 'api_tokens', 'workers', 'kinds', 'claims', 'pruning', 'workspaces']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant);
        EXECUTE format(
            'CREATE POLICY own_workspace ON %I USING (%I = (SELECT nullif(current_setting(''sprongus.workspace_id'', true), '''')))',
            tenant, CASE tenant WHEN 'workspaces' THEN 'id' ELSE 'workspace_id' END);
    END LOOP;
    -- What the functions below look at across workspaces, they look at as the owner.
    FOREACH tenant IN ARRAY ARRAY['run_queue', 'run_timers', 'api_tokens', 'workspaces'] LOOP
        EXECUTE format('CREATE POLICY owner_sees_all ON %I FOR SELECT TO CURRENT_USER USING (true)', tenant);
    END LOOP;
END
$$;

-- History cannot be rewritten, not by the owner either. A run goes by retention or with its workspace; an event goes with its run.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

CREATE FUNCTION pruning_takes_ended_runs() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM runs WHERE id = NEW.run_id AND workspace_id = NEW.workspace_id
        AND state IN ('succeeded', 'failed', 'canceled'))
    THEN
        RAISE EXCEPTION 'a run that has not ended cannot be pruned' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

-- A workspace that is being deleted is gone when its runs go; the policies hide other workspaces, so what is not seen is asked for
-- under the row's own. A function that names another workspace gives the caller's back; where it raises, the transaction does.
CREATE FUNCTION runs_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF NOT EXISTS (SELECT FROM pruning WHERE run_id = OLD.id) AND EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
        RAISE EXCEPTION 'a run is deleted by retention or with its workspace only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

CREATE FUNCTION events_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF EXISTS (SELECT FROM runs WHERE id = OLD.run_id) THEN
        RAISE EXCEPTION 'an event is deleted with its run only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

-- A run takes along its events and its place in the queue, which have no foreign key for speed.
CREATE FUNCTION runs_take_their_own() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    DELETE FROM run_events WHERE run_id = OLD.id;
    DELETE FROM run_queue WHERE workspace_id = OLD.workspace_id AND kind = OLD.kind
        AND rank = 100 - OLD.priority AND run_at = OLD.run_at AND id = OLD.id;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN NULL;
END
$$;

CREATE TRIGGER pruning_takes_ended_runs BEFORE INSERT OR UPDATE ON pruning
    FOR EACH ROW EXECUTE FUNCTION pruning_takes_ended_runs();
CREATE TRIGGER runs_stay BEFORE DELETE ON runs FOR EACH ROW EXECUTE FUNCTION runs_stay();
CREATE TRIGGER runs_take_their_own AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION runs_take_their_own();
CREATE TRIGGER runs_are_not_truncated BEFORE TRUNCATE ON runs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a run is deleted by retention or with its workspace only');
CREATE TRIGGER runs_keep_their_name BEFORE UPDATE OF id, workspace_id ON runs
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a run keeps its id and its workspace');
CREATE TRIGGER events_stay BEFORE DELETE ON run_events FOR EACH ROW EXECUTE FUNCTION events_stay();
CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON run_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('an event is never changed');
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON run_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('an event is deleted with its run only');
ALTER TABLE pruning ENABLE ALWAYS TRIGGER pruning_takes_ended_runs;
ALTER TABLE runs ENABLE ALWAYS TRIGGER runs_stay;
ALTER TABLE runs ENABLE ALWAYS TRIGGER runs_take_their_own;
ALTER TABLE runs ENABLE ALWAYS TRIGGER runs_are_not_truncated;
ALTER TABLE runs ENABLE ALWAYS TRIGGER runs_keep_their_name;
ALTER TABLE run_events ENABLE ALWAYS TRIGGER events_stay;
ALTER TABLE run_events ENABLE ALWAYS TRIGGER events_stay_as_they_are;
ALTER TABLE run_events ENABLE ALWAYS TRIGGER events_are_not_truncated;

-- The four needs that cross workspaces, each as narrow as it can be. They run as the owner; EXECUTE is granted by name.
CREATE FUNCTION token_by_hash(hash text) RETURNS SETOF api_tokens LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT * FROM api_tokens WHERE api_tokens.hash = token_by_hash.hash;
$$;

CREATE FUNCTION workspaces_with_work(most integer) RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT w.id FROM workspaces w
    WHERE EXISTS (SELECT FROM run_queue q WHERE q.workspace_id = w.id)
        OR EXISTS (SELECT FROM run_timers t WHERE t.workspace_id = w.id AND t.due_at <= clock_timestamp())
    ORDER BY w.id LIMIT most;
$$;

CREATE FUNCTION every_workspace() RETURNS SETOF workspaces LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT * FROM workspaces ORDER BY id;
$$;

-- Takes runs that ended in `ended` before `cutoff`, oldest first; looks for itself that they have ended, and long enough ago.
CREATE FUNCTION prune(workspace text, ended text, cutoff timestamptz, projects text[], most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    taken bigint;
BEGIN
    PERFORM set_config('sprongus.workspace_id', workspace, true);
    IF ended = 'succeeded' THEN
        INSERT INTO pruning (workspace_id, run_id)
        SELECT r.workspace_id, r.id FROM run_events e JOIN runs r ON r.id = e.run_id
        WHERE e.workspace_id = workspace AND e.type = 'run.succeeded' AND e.run_created_at < cutoff
            AND r.state = 'succeeded' AND r.finished_at < cutoff AND (projects IS NULL OR r.project_id = ANY (projects))
        ORDER BY e.run_created_at LIMIT most FOR UPDATE OF r SKIP LOCKED
        ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO pruning (workspace_id, run_id)
        SELECT workspace_id, id FROM runs
        WHERE workspace_id = workspace AND ended_as = ended AND state = ended AND created_at < cutoff AND finished_at < cutoff
            AND (projects IS NULL OR project_id = ANY (projects))
        ORDER BY created_at LIMIT most FOR UPDATE SKIP LOCKED
        ON CONFLICT DO NOTHING;
    END IF;
    DELETE FROM runs WHERE id IN (SELECT run_id FROM pruning WHERE workspace_id = workspace);
    GET DIAGNOSTICS taken = ROW_COUNT;
    DELETE FROM pruning WHERE workspace_id = workspace;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN taken;
END
$$;

-- Deletes a workspace with everything in it; its name is asked for twice, as a person is asked.
CREATE FUNCTION drop_workspace(workspace text, name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    is_gone boolean;
BEGIN
    IF workspace IS DISTINCT FROM name THEN
        RAISE EXCEPTION 'the name is not the workspace''s' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('sprongus.workspace_id', workspace, true);
    DELETE FROM workspaces WHERE id = workspace;
    is_gone := FOUND;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN is_gone;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;
SELECT set_config('sprongus.workspace_id', 'default', true);
INSERT INTO workspaces (id) VALUES ('default');
