-- @tables
CREATE TABLE run_queue (
    workspace_id text NOT NULL,
    kind text NOT NULL,
    rank smallint NOT NULL,
    run_at timestamptz NOT NULL,
    id uuid NOT NULL,
    place tid,
    PRIMARY KEY (workspace_id, kind, rank, run_at, id)
);
@timers@
-- @placed
, placed AS (INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, place)
    SELECT $1, kind, 100 - priority, run_at, id, @place@ FROM made)
-- @picked
picked AS MATERIALIZED (
    SELECT ctid AS entry FROM run_queue
    WHERE workspace_id = $1 AND kind = $2 AND run_at <= (SELECT now FROM present)
    ORDER BY rank, run_at, id LIMIT $5 FOR UPDATE SKIP LOCKED),
gone AS MATERIALIZED (
    DELETE FROM run_queue WHERE ctid = ANY (ARRAY(SELECT entry FROM picked)) RETURNING id, place),
-- @which by id
r.id = ANY (ARRAY(SELECT id FROM gone))
-- @which by place
r.ctid = ANY (ARRAY(SELECT place FROM gone)) AND (r.id IN (SELECT id FROM gone)) IS TRUE
-- @timers row
CREATE TABLE run_timers (
    workspace_id text NOT NULL,
    due_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, due_at, run_id)
);
-- @sweep row
SELECT 0::bigint, count(*) FROM (SELECT FROM run_timers WHERE workspace_id = $1 AND due_at <= (SELECT clock_timestamp())
    ORDER BY due_at, run_id LIMIT 100 FOR UPDATE SKIP LOCKED) AS due
-- @timed row
, timed AS (INSERT INTO run_timers (workspace_id, due_at, run_id) SELECT $1, timer_at, id FROM taken)
-- @untimed row
, untimed AS (DELETE FROM run_timers WHERE ctid = ANY (ARRAY(
    SELECT t.place FROM ended CROSS JOIN LATERAL (
        SELECT ctid AS place FROM run_timers t
        WHERE t.workspace_id = $1 AND t.due_at = ended.timer_at AND t.run_id = ended.id OFFSET 0) AS t)))
-- @timers batch
CREATE TABLE run_timers (
    workspace_id text NOT NULL,
    due_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    run_ids uuid[] NOT NULL,
    epochs bigint[] NOT NULL,
    PRIMARY KEY (workspace_id, due_at, id)
);
-- @sweep batch
WITH due AS MATERIALIZED (
    DELETE FROM run_timers WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM run_timers WHERE workspace_id = $1 AND due_at <= (SELECT clock_timestamp())
        ORDER BY due_at, id LIMIT 2 FOR UPDATE SKIP LOCKED))
    RETURNING run_ids, epochs),
looked AS MATERIALIZED (SELECT t.id, t.epoch FROM due, unnest(due.run_ids, due.epochs) AS t (id, epoch)),
held AS MATERIALIZED (
    SELECT r.id, r.epoch, r.lease_expires_at FROM looked JOIN runs r ON r.id = looked.id AND r.epoch = looked.epoch
    WHERE r.workspace_id = $1 AND r.state = 'running'),
parked AS (INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
    SELECT $1, lease_expires_at, array_agg(id), array_agg(epoch) FROM held GROUP BY lease_expires_at)
SELECT (SELECT count(*) FROM looked), (SELECT count(*) FROM held)
-- @timed batch
, timed AS (INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
    SELECT $1, timer_at, array_agg(id), array_agg(epoch) FROM taken GROUP BY timer_at)
-- @untimed batch
