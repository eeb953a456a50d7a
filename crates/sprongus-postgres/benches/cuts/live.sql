-- @tables
CREATE TABLE run_live (
    workspace_id text NOT NULL,
    id uuid NOT NULL PRIMARY KEY,
    kind text NOT NULL,
    priority smallint NOT NULL,
    run_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running')),
    attempt integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    progress smallint NOT NULL DEFAULT 0,
    gate @json@,
    error text,
    epoch bigint NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_at timestamptz,
    lease_ms bigint NOT NULL,
    lease_expires_at timestamptz,
    cleanup text NOT NULL DEFAULT 'none',
    last_report text,
    last_seq bigint NOT NULL,
    started_at timestamptz,
    updated_at timestamptz NOT NULL,
    timer_at timestamptz
);
CREATE INDEX live_claim ON run_live (workspace_id, kind, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX live_timer ON run_live (workspace_id, timer_at) WHERE timer_at IS NOT NULL;
-- @placed
, placed AS (INSERT INTO run_live (workspace_id, id, kind, priority, run_at, state, lease_ms, last_seq, updated_at)
    SELECT $1, id, kind, priority, run_at, 'queued', 30000, 1, created_at FROM made)
-- @sweep
SELECT 0::bigint, count(*) FROM (SELECT FROM run_live WHERE workspace_id = $1 AND timer_at <= (SELECT clock_timestamp())
    ORDER BY timer_at LIMIT 100 FOR UPDATE SKIP LOCKED) AS due
-- @claim
WITH present AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
picked AS MATERIALIZED (
    SELECT ctid AS place FROM run_live
    WHERE workspace_id = $1 AND kind = $2 AND state = 'queued' AND run_at <= (SELECT now FROM present)
    ORDER BY priority DESC, run_at, id LIMIT $5 FOR UPDATE SKIP LOCKED),
taken AS MATERIALIZED (
    UPDATE run_live l SET state = 'running', attempt = attempt + 1, epoch = epoch + 1, claimed_by = $3,
        claimed_at = (SELECT now FROM present), lease_ms = $4::bigint, last_seq = last_seq + 1, cleanup = 'owed',
        lease_expires_at = (SELECT now FROM present) + $4::bigint * interval '1 millisecond',
        timer_at = (SELECT now FROM present) + $4::bigint * interval '1 millisecond',
        started_at = coalesce(started_at, (SELECT now FROM present)), updated_at = (SELECT now FROM present)
    WHERE l.workspace_id = $1 AND l.state = 'queued' AND l.ctid = ANY (ARRAY(SELECT place FROM picked))
    RETURNING l.*),
named AS (INSERT INTO claims (workspace_id, claim_id, worker_id, claimed_at, run_ids, epochs)
    SELECT $1, $6, $3, (SELECT now FROM present), array_agg(id), array_agg(epoch) FROM taken),
told AS (INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
    SELECT $1, id, last_seq, 'run.started', updated_at, 'bench',
        @json@_build_object('attempt', attempt, 'epoch', epoch, 'workerId', $3) FROM taken)
SELECT l.id, l.epoch, r.project_id, r.agent_task_id, l.kind, r.input, l.priority, l.attempt, r.max_attempts, r.tags,
    r.traceparent, l.run_at, r.created_at, l.lease_expires_at, l.last_seq, l.updated_at, l.gate, l.crashes, l.timer_at
FROM taken l JOIN runs r ON r.id = l.id WHERE r.workspace_id = $1
-- @finish
WITH present AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
gone AS MATERIALIZED (
    DELETE FROM run_live l USING unnest($3::uuid[], $4::bigint[], $5::text[]) AS t (id, epoch, result)
    WHERE l.workspace_id = $1 AND l.id = t.id AND l.state = 'running' AND l.epoch = t.epoch AND l.claimed_by = $2
        AND l.lease_expires_at > (SELECT now FROM present)
    RETURNING l.id, l.attempt, l.crashes, l.epoch, l.claimed_by, l.claimed_at, l.lease_ms, l.last_seq, l.started_at, t.result),
ended AS MATERIALIZED (
    UPDATE runs r SET state = 'succeeded', finished_at = (SELECT now FROM present), result = gone.result::@json@, progress = 100,
        attempt = gone.attempt, crashes = gone.crashes, epoch = gone.epoch, claimed_by = gone.claimed_by,
        claimed_at = gone.claimed_at, lease_ms = gone.lease_ms, last_seq = gone.last_seq + 1, started_at = gone.started_at,
        updated_at = (SELECT now FROM present)
    FROM gone WHERE r.workspace_id = $1 AND r.id = gone.id
    RETURNING r.id, r.last_seq, r.updated_at, r.attempt),
told AS (INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
    SELECT $1, id, last_seq, 'run.succeeded', updated_at, 'bench', @json@_build_object('attempt', attempt) FROM ended)
SELECT id FROM ended
