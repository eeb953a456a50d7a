-- Settings of a workspace, by family: schedules today. `due_at` is when there is something to do about one.
CREATE TABLE settings (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    managed_by TEXT NOT NULL,
    definition TEXT NOT NULL,
    applied TEXT,
    progress TEXT NOT NULL,
    due_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (workspace_id, family, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX settings_due ON settings (workspace_id, due_at, id) WHERE due_at IS NOT NULL;

-- The place of an event in the stream of all events, where it is in there. Its numbers are those of run_events.
ALTER TABLE operator_events ADD COLUMN pos INTEGER;
CREATE UNIQUE INDEX operator_events_in_order ON operator_events (pos) WHERE pos IS NOT NULL;

-- The schedule that made a run, and the tick; the indexes hold such runs alone.
ALTER TABLE runs ADD COLUMN schedule_id TEXT;
ALTER TABLE runs ADD COLUMN scheduled_for TEXT;
ALTER TABLE runs ADD COLUMN schedule_revision INTEGER;
CREATE INDEX runs_by_schedule ON runs (workspace_id, schedule_id, created_at, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX runs_by_tick ON runs (workspace_id, schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL;

-- The zone data that a worker's process reads schedules by.
ALTER TABLE workers ADD COLUMN zone_data TEXT;
