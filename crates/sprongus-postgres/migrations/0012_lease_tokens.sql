-- The SHA-256 of the token that a run's present or last claim told. Without one, as of runs that were running when this was applied,
-- no report is taken: their leases run out, and they are claimed again.
ALTER TABLE runs ADD COLUMN lease_hash bytea;
-- The API token that a named claim, and a worker's word, came with; none of whoever has the database itself.
ALTER TABLE claims ADD COLUMN token_id uuid;
ALTER TABLE workers ADD COLUMN token_id uuid;
