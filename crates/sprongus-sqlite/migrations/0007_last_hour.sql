-- What the figures of the last hour are made of: `recent.rs` says what is added up, and `part` is the group of a time there.
CREATE TABLE run_recent (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    minute TEXT NOT NULL,
    -- Empty for runs without one.
    project_id TEXT NOT NULL,
    figure TEXT NOT NULL,
    part INTEGER NOT NULL,
    count INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, minute, project_id, figure, part)
) STRICT, WITHOUT ROWID;

-- How deep the queue is, is counted along the two indexes of live runs alone: what it is counted by stands in them, behind their keys. It
-- changes only when a run's place in them does.
DROP INDEX runs_claim;
CREATE INDEX runs_claim ON runs (workspace_id, kind, priority DESC, run_at, id, state, project_id) WHERE ready = 1;
DROP INDEX runs_timer;
CREATE INDEX runs_timer ON runs (workspace_id, timer_at, state, ready, kind, project_id) WHERE timer_at IS NOT NULL;
-- Live runs that stand in neither: those that wait at a gate without an end.
CREATE INDEX runs_endless ON runs (workspace_id, kind, project_id) WHERE state = 'queued' AND ready = 0 AND timer_at IS NULL;
