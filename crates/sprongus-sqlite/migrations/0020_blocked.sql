-- What keeps a queued run from being claimed. Such a run stands in neither index, unless it expires.
ALTER TABLE runs ADD COLUMN blocked_on TEXT;
