-- Since when a run is due, where that is not its `run_at`: a release, an approval and a lost lease leave the run its place in the
-- queue, and its wait begins anew. The index is the inbox of approvals; a run stays in it when it ends unanswered.
ALTER TABLE runs ADD COLUMN due_since timestamptz;
ALTER TABLE run_queue ADD COLUMN due_since timestamptz;
CREATE INDEX runs_at_gates ON runs (workspace_id, created_at, id) WHERE gate IS NOT NULL AND (gate ->> 'answer') IS NULL;
