-- What a claim or a finish says of many runs at once is one row, `event_batches`; what is said of one run is a row of its own,
-- `single_events`, which is what `run_events` was. `run_events` is the view of both (docs/decisions/0024-events-of-a-batch-in-one-row.md).
-- functions: b910ffee697efbcd5a046d3faa99e7e6fb8d775b34279683b3232726d643b9f9
ALTER TABLE run_events RENAME TO single_events;
ALTER INDEX run_events_pkey RENAME TO single_events_pkey;
ALTER INDEX run_events_in_order RENAME TO single_events_in_order;
ALTER INDEX run_events_of_success RENAME TO single_events_of_success;

-- Event `n` of a batch, from 1, is about run_ids[n] and has the place `number - size + n` in its transaction. Of a run that retention took
-- its id, seq, attempt, epoch and duration stay in these arrays until the last run of the batch has gone, and then the row goes; nobody is
-- shown them. No key leads to the workspace: each claim would look it up (0005).
CREATE TABLE event_batches (
    workspace_id text NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The place of the last of its events, from the same sequence as those of `single_events`.
    number bigint NOT NULL PRIMARY KEY,
    type text NOT NULL CHECK (type IN ('run.started', 'run.succeeded')),
    at timestamptz NOT NULL,
    size integer NOT NULL,
    -- One for all, or one each.
    actors text[] NOT NULL,
    worker_id text,
    run_ids uuid[] NOT NULL,
    seqs bigint[] NOT NULL,
    attempts integer[] NOT NULL,
    epochs bigint[],
    -- How long they had waited, or took.
    durations_ms bigint[] NOT NULL
);
CREATE INDEX event_batches_in_order ON event_batches (workspace_id, tx, number);
-- Ids do not compress, and trying costs more than the bytes.
ALTER TABLE event_batches
    ALTER run_ids SET STORAGE EXTERNAL, ALTER seqs SET STORAGE EXTERNAL, ALTER attempts SET STORAGE EXTERNAL,
    ALTER epochs SET STORAGE EXTERNAL, ALTER durations_ms SET STORAGE EXTERNAL;
ALTER TABLE claims ALTER run_ids SET STORAGE EXTERNAL, ALTER epochs SET STORAGE EXTERNAL;
ALTER TABLE run_timers ALTER run_ids SET STORAGE EXTERNAL, ALTER epochs SET STORAGE EXTERNAL;
-- Nor does anybody look for what is in most of them: ANALYZE counted every element, for seconds.
ALTER TABLE event_batches
    ALTER run_ids SET STATISTICS 0, ALTER seqs SET STATISTICS 0, ALTER attempts SET STATISTICS 0, ALTER epochs SET STATISTICS 0,
    ALTER durations_ms SET STATISTICS 0, ALTER actors SET STATISTICS 0;
ALTER TABLE claims ALTER run_ids SET STATISTICS 0, ALTER epochs SET STATISTICS 0;
ALTER TABLE run_timers ALTER run_ids SET STATISTICS 0, ALTER epochs SET STATISTICS 0;

-- The batches that a run is in.
ALTER TABLE runs ADD COLUMN batches bigint[];
ALTER TABLE runs ALTER batches SET STATISTICS 0;

-- The list of runs that succeeded in a batch, as `single_events_of_success` is that of the others.
CREATE TABLE batch_successes (
    workspace_id text NOT NULL,
    run_created_at timestamptz NOT NULL,
    run_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, run_created_at, run_id)
);

DO $$
DECLARE
    tenant text;
BEGIN
    FOREACH tenant IN ARRAY ARRAY['event_batches', 'batch_successes'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant);
        -- An expression, which no index answers, as on `single_events` (docs/decisions/0011-plans-on-young-tables.md).
        EXECUTE format($policy$CREATE POLICY own_workspace ON %I USING (workspace_id || '' = (
            SELECT CASE coalesce(current_setting('sprongus.workspace_id', true), '')
                WHEN '' THEN no_workspace() ELSE current_setting('sprongus.workspace_id', true) END))$policy$, tenant);
    END LOOP;
END
$$;

CREATE VIEW run_events WITH (security_invoker = true) AS
SELECT workspace_id, run_id, seq, step_id, type, at, actor, payload, run_created_at, tx, pos FROM single_events
UNION ALL
SELECT r.workspace_id, r.id, e.seq, NULL::uuid, b.type, b.at, coalesce(e.actor, b.actors[1]),
    CASE b.type
        WHEN 'run.started' THEN
            jsonb_build_object('attempt', e.attempt, 'epoch', e.epoch, 'workerId', b.worker_id, 'waitMs', e.duration_ms)
        ELSE jsonb_build_object('attempt', e.attempt, 'elapsedMs', e.duration_ms, 'outputRef', r.output_ref)
    END,
    CASE b.type WHEN 'run.succeeded' THEN r.created_at END, b.tx, b.number - b.size + e.n
-- Of the batch nothing is asked but its number, so that a plan of young tables takes no other index (0011).
FROM runs r
JOIN event_batches b ON b.number = ANY (r.batches)
CROSS JOIN LATERAL unnest(b.run_ids, b.seqs, b.attempts, b.epochs, b.durations_ms, b.actors) WITH ORDINALITY
    AS e (run_id, seq, attempt, epoch, duration_ms, actor, n)
WHERE e.run_id = r.id;

CREATE OR REPLACE VIEW job_events WITH (security_invoker = true) AS
SELECT event_id(run_id, seq) AS id, run_id AS job_id, seq, step_id, workspace_id, type, at AS timestamp, actor, payload
FROM run_events;
