-- Since when a run is due: a release, an approval and a lost lease leave the run its place in the queue, and its wait begins anew.
-- Empty in rows of before, which are due since their `run_at`.
ALTER TABLE runs ADD COLUMN due_at TEXT;
-- The age of the oldest due run is read from the index that counts them.
DROP INDEX runs_claim;
CREATE INDEX runs_claim ON runs (workspace_id, kind, priority DESC, run_at, id, state, project_id, due_at) WHERE ready = 1;
-- The inbox of approvals.
CREATE INDEX runs_at_gates ON runs (workspace_id, created_at, id, kind, project_id)
    WHERE state = 'queued' AND gate IS NOT NULL AND json_extract(gate, '$.answer') IS NULL;
