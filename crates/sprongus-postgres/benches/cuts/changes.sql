-- The three statements of `wide` and of the queues. `$1` is the workspace everywhere. The state that a finish asks for is written so
-- that no index answers it: without that `wide` ended a third as many runs a second, presumably by its index on state.
-- @enqueue
WITH present AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
made AS (
    INSERT INTO runs (workspace_id, id, project_id, agent_task_id, kind, input, priority, max_attempts, run_at,
        idempotency_key, fingerprint, state, lease_ms, last_seq, created_at, updated_at)
    SELECT $1, t.id, t.project, t.task, t.kind, t.input::@json@, t.priority, 3, now, t.key, t.fingerprint, 'queued', 30000, 1,
        now, now
    FROM present, unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::text[])
        AS t (id, project, task, kind, input, priority, key, fingerprint)
    ON CONFLICT DO NOTHING
    RETURNING id, kind, priority, run_at, created_at, ctid AS place)
@placed@,
told AS (INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
    SELECT $1, id, 1, 'run.enqueued', created_at, 'bench', @json@_build_object('kind', kind, 'priority', priority) FROM made)
SELECT id FROM made
-- @claim
WITH present AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
@picked@
taken AS MATERIALIZED (
    UPDATE runs r SET state = 'running', attempt = attempt + 1, epoch = epoch + 1, claimed_by = $3,
        claimed_at = (SELECT now FROM present), lease_ms = $4::bigint, last_seq = last_seq + 1, cleanup = 'owed',
        lease_expires_at = (SELECT now FROM present) + $4::bigint * interval '1 millisecond',
        timer_at = (SELECT now FROM present) + $4::bigint * interval '1 millisecond',
        started_at = coalesce(started_at, (SELECT now FROM present)), updated_at = (SELECT now FROM present)
    WHERE r.workspace_id = $1 AND r.state = 'queued' AND @which@
    RETURNING r.id, r.epoch, r.project_id, r.agent_task_id, r.kind, r.input, r.priority, r.attempt, r.max_attempts, r.tags,
        r.traceparent, r.run_at, r.created_at, r.lease_expires_at, r.last_seq, r.updated_at, r.gate, r.crashes, r.timer_at),
named AS (INSERT INTO claims (workspace_id, claim_id, worker_id, claimed_at, run_ids, epochs)
    SELECT $1, $6, $3, (SELECT now FROM present), array_agg(id), array_agg(epoch) FROM taken)
@timed@,
told AS (INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
    SELECT $1, id, last_seq, 'run.started', updated_at, 'bench',
        @json@_build_object('attempt', attempt, 'epoch', epoch, 'workerId', $3) FROM taken)
SELECT * FROM taken
-- @finish
WITH present AS MATERIALIZED (SELECT date_trunc('milliseconds', clock_timestamp()) AS now),
ended AS MATERIALIZED (
    UPDATE runs r SET state = 'succeeded', finished_at = (SELECT now FROM present), lease_expires_at = NULL,
        timer_at = @timer_after@, result = t.result::@json@, progress = 100, cleanup = 'none', last_seq = last_seq + 1,
        updated_at = (SELECT now FROM present)
    FROM unnest($3::uuid[], $4::bigint[], $5::text[]) AS t (id, epoch, result)
    WHERE r.workspace_id = $1 AND r.id = t.id AND r.state || '' = 'running' AND r.epoch = t.epoch AND r.claimed_by = $2
        AND r.lease_expires_at > (SELECT now FROM present)
    RETURNING r.id, r.timer_at, r.last_seq, r.updated_at, r.attempt)
@untimed@,
told AS (INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
    SELECT $1, id, last_seq, 'run.succeeded', updated_at, 'bench', @json@_build_object('attempt', attempt) FROM ended)
SELECT id FROM ended
