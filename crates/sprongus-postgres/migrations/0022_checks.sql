-- The values of these columns come from rules and from statements that set them to constants, and were checked at every write of a run all the
-- same. `sprongus doctor --integrity` looks for values that no rule gives.
ALTER TABLE runs
    DROP CONSTRAINT runs_kind_check, DROP CONSTRAINT runs_state_check, DROP CONSTRAINT runs_priority_check,
    DROP CONSTRAINT runs_progress_check, DROP CONSTRAINT runs_attempt_check, DROP CONSTRAINT runs_max_attempts_check,
    DROP CONSTRAINT runs_crashes_check, DROP CONSTRAINT runs_epoch_check, DROP CONSTRAINT runs_cleanup_check,
    DROP CONSTRAINT runs_ended_as_check;
