-- What operators did, newest last. An event goes with its workspace alone; what concerns a whole workspace is in that of `default`.
CREATE TABLE operator_events (
    id TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    token_id TEXT,
    subject TEXT,
    state_before TEXT,
    state_after TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_events_by_age ON operator_events (workspace_id, at DESC, id DESC);

CREATE TRIGGER operator_events_stay_as_they_are BEFORE UPDATE ON operator_events
BEGIN SELECT RAISE(ABORT, 'an operator''s event is never changed'); END;

CREATE TRIGGER operator_events_stay BEFORE DELETE ON operator_events
WHEN EXISTS (SELECT 1 FROM workspaces WHERE id = OLD.workspace_id)
BEGIN SELECT RAISE(ABORT, 'an operator''s event is deleted with its workspace only'); END;

-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER operator_events_are_not_replaced BEFORE INSERT ON operator_events
WHEN EXISTS (SELECT 1 FROM operator_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the operator''s event exists'); END;
