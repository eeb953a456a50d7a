-- The places whose bytes are to be deleted at `due_at`: of uploads that have no row yet, and of rows that are gone. Nothing refers to
-- a run or a workspace here, so that the places outlive both.
CREATE TABLE unwanted_blobs (
    location TEXT NOT NULL PRIMARY KEY,
    due_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX unwanted_blobs_by_due_time ON unwanted_blobs (due_at, location);

-- However a row goes: by another file's coming, with its run, with its workspace. Its bytes are due at once, by any clock.
CREATE TRIGGER artifacts_leave_their_place AFTER DELETE ON run_artifacts
BEGIN
    INSERT INTO unwanted_blobs (location, due_at) VALUES (OLD.location, '1970-01-01T00:00:00.000Z')
    ON CONFLICT (location) DO UPDATE SET due_at = excluded.due_at;
END;

-- REPLACE would delete without asking the trigger above.
CREATE TRIGGER artifacts_are_not_replaced BEFORE INSERT ON run_artifacts
WHEN EXISTS (SELECT 1 FROM run_artifacts WHERE run_id = NEW.run_id AND name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'the artifact exists'); END;
