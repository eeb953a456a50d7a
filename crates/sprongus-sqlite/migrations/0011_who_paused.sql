-- Who paused or resumed a kind, and when; unknown of what was done before.
ALTER TABLE kinds ADD COLUMN changed_at TEXT;
ALTER TABLE kinds ADD COLUMN changed_by TEXT;
