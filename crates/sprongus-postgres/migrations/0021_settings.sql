-- Settings of a workspace, by family: schedules today. `due_at` is when there is something to do about one. A row of revision 0 is a
-- place that is locked for a setting that may come.
-- functions: 1eaedbf432605f56594e32cdb26b206df538eb26ba13b404770125edea55b6ee
CREATE TABLE settings (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    family text NOT NULL,
    id text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    managed_by text NOT NULL,
    definition text NOT NULL,
    applied text,
    progress text NOT NULL,
    due_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, family, id)
);
CREATE INDEX settings_due ON settings (workspace_id, due_at, id) WHERE due_at IS NOT NULL;

ALTER TABLE settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE settings FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON settings USING (workspace_id = (
    SELECT CASE coalesce(current_setting('sprongus.workspace_id', true), '')
        WHEN '' THEN no_workspace() ELSE current_setting('sprongus.workspace_id', true) END));
CREATE POLICY owner_sees_all ON settings FOR SELECT TO CURRENT_USER USING (true);

-- The place of an event in the stream of the workspace, where it is in there: behind the events of runs of its transaction.
ALTER TABLE operator_events ADD COLUMN tx xid8, ADD COLUMN pos bigint;
CREATE INDEX operator_events_in_order ON operator_events (workspace_id, tx, pos) WHERE tx IS NOT NULL;

-- The schedule that made a run, and the tick. The indexes hold such runs alone, and no column that changes.
ALTER TABLE runs ADD COLUMN schedule_id text, ADD COLUMN scheduled_for timestamptz, ADD COLUMN schedule_revision integer;
CREATE INDEX runs_by_schedule ON runs (workspace_id, schedule_id, created_at, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX runs_by_tick ON runs (workspace_id, schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL;

-- The zone data that a worker's process reads schedules by.
ALTER TABLE workers ADD COLUMN zone_data jsonb;
