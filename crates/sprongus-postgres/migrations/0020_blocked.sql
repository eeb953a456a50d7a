-- What keeps a queued run from being claimed. Such a run has no place in the queue, and a timer only if it expires; the index is where it
-- stands instead. It holds no column that claiming, heartbeating, retrying or finishing changes, so those stay HOT.
ALTER TABLE runs ADD COLUMN blocked_on text;
CREATE INDEX runs_blocked ON runs (workspace_id, blocked_on, id) WHERE blocked_on IS NOT NULL;
