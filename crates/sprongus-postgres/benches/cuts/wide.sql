-- @tables
CREATE INDEX runs_by_state ON runs (workspace_id, state, created_at);
CREATE INDEX runs_claim ON runs (workspace_id, kind, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX runs_timer ON runs (workspace_id, timer_at) WHERE timer_at IS NOT NULL;
-- @placed
-- @sweep
SELECT 0::bigint, count(*) FROM (SELECT FROM runs WHERE workspace_id = $1 AND timer_at <= (SELECT clock_timestamp())
    ORDER BY timer_at LIMIT 100 FOR UPDATE SKIP LOCKED) AS due
-- @picked
picked AS MATERIALIZED (
    SELECT ctid AS place FROM runs
    WHERE workspace_id = $1 AND kind = $2 AND state = 'queued' AND run_at <= (SELECT now FROM present)
    ORDER BY priority DESC, run_at, id LIMIT $5 FOR UPDATE SKIP LOCKED),
-- @which
r.ctid = ANY (ARRAY(SELECT place FROM picked))
-- @timed
-- @untimed
