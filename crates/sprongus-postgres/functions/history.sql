-- Triggers. History cannot be rewritten, not by the owner either. A run goes by retention or with its workspace; an event goes with its
-- run.

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END
$$;

CREATE OR REPLACE FUNCTION pruning_takes_ended_runs() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM runs WHERE id = NEW.run_id AND workspace_id = NEW.workspace_id
        AND state IN ('succeeded', 'failed', 'canceled'))
    THEN
        RAISE EXCEPTION 'a run that has not ended cannot be pruned' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

-- A workspace that is being deleted is gone when its runs go; the policies hide other workspaces, so what is not seen is asked for
-- under the row's own. A function that names another workspace gives the caller's back; where it raises, the transaction does.
CREATE OR REPLACE FUNCTION runs_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF NOT EXISTS (SELECT FROM pruning WHERE run_id = OLD.id) AND EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
        RAISE EXCEPTION 'a run is deleted by retention or with its workspace only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

CREATE OR REPLACE FUNCTION events_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF EXISTS (SELECT FROM runs WHERE id = OLD.run_id) THEN
        RAISE EXCEPTION 'an event is deleted with its run only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

-- A workspace that is being deleted is gone when its events go; the policies hide other workspaces, so it is asked for under its own name.
CREATE OR REPLACE FUNCTION operator_events_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) THEN
        RAISE EXCEPTION 'an operator''s event is deleted with its workspace only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

-- A run takes along its events and its place in the queue, which have no foreign key for speed.
CREATE OR REPLACE FUNCTION runs_take_their_own() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    DELETE FROM single_events WHERE run_id = OLD.id;
    DELETE FROM batch_successes WHERE workspace_id = OLD.workspace_id AND run_created_at = OLD.created_at AND run_id = OLD.id;
    DELETE FROM run_queue WHERE workspace_id = OLD.workspace_id AND kind = OLD.kind
        AND rank = 100 - OLD.priority AND run_at = OLD.run_at AND id = OLD.id;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN NULL;
END
$$;

-- A process of an earlier version writes its events into what it knows as a table.
CREATE OR REPLACE FUNCTION run_events_are_single() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO single_events (workspace_id, run_id, seq, step_id, type, at, actor, payload, run_created_at, tx)
    VALUES (NEW.workspace_id, NEW.run_id, NEW.seq, NEW.step_id, NEW.type, NEW.at, NEW.actor, coalesce(NEW.payload, '{}'),
        NEW.run_created_at, coalesce(NEW.tx, pg_current_xact_id()));
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION event_batches_stay() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.workspace_id, true);
    IF EXISTS (SELECT FROM workspaces WHERE id = OLD.workspace_id) AND EXISTS (SELECT FROM runs WHERE id = ANY (OLD.run_ids) AND OLD.number = ANY (batches)) THEN
        RAISE EXCEPTION 'an event is deleted with its run only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN OLD;
END
$$;

-- A batch goes when the last of its runs has gone. A run that has the id of one that was taken is not of its batches.
CREATE OR REPLACE FUNCTION batches_go_with_their_runs() RETURNS trigger LANGUAGE plpgsql
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    one text;
    theirs bigint[];
BEGIN
    FOR one, theirs IN
        SELECT g.workspace_id, array_agg(DISTINCT number) FROM gone g CROSS JOIN LATERAL unnest(g.batches) AS number GROUP BY 1
    LOOP
        PERFORM set_config('sprongus.workspace_id', one, true);
        DELETE FROM event_batches b
        WHERE b.number = ANY (theirs)
            AND NOT EXISTS (SELECT FROM runs r WHERE r.id = ANY (b.run_ids) AND b.number = ANY (r.batches));
    END LOOP;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER run_events_are_single INSTEAD OF INSERT ON run_events
    FOR EACH ROW EXECUTE FUNCTION run_events_are_single();
CREATE OR REPLACE TRIGGER event_batches_stay BEFORE DELETE ON event_batches FOR EACH ROW EXECUTE FUNCTION event_batches_stay();
CREATE OR REPLACE TRIGGER event_batches_stay_as_they_are BEFORE UPDATE ON event_batches
    FOR EACH ROW EXECUTE FUNCTION refuse_change('an event is never changed');
CREATE OR REPLACE TRIGGER event_batches_are_not_truncated BEFORE TRUNCATE ON event_batches
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('an event is deleted with its run only');
-- Behind the update, because a trigger before it would lock each run once more.
CREATE OR REPLACE TRIGGER runs_keep_their_batches AFTER UPDATE OF batches ON runs FOR EACH ROW
    WHEN (NEW.batches[1:cardinality(OLD.batches)] IS DISTINCT FROM OLD.batches)
    EXECUTE FUNCTION refuse_change('an event is never changed');
CREATE OR REPLACE TRIGGER batches_go_with_their_runs AFTER DELETE ON runs REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION batches_go_with_their_runs();
ALTER TABLE event_batches ENABLE ALWAYS TRIGGER event_batches_stay;
ALTER TABLE event_batches ENABLE ALWAYS TRIGGER event_batches_stay_as_they_are;
ALTER TABLE event_batches ENABLE ALWAYS TRIGGER event_batches_are_not_truncated;
ALTER TABLE runs ENABLE ALWAYS TRIGGER runs_keep_their_batches;
ALTER TABLE runs ENABLE ALWAYS TRIGGER batches_go_with_their_runs;

-- However a row goes: by another file's coming, with its run, with its workspace. Its bytes are due at once, by any clock.
CREATE OR REPLACE FUNCTION artifacts_leave_their_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO unwanted_blobs (location, due_at) VALUES (OLD.location, '-infinity')
    ON CONFLICT (location) DO UPDATE SET due_at = excluded.due_at;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION forget_workspace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.id, true);
    DELETE FROM run_timers WHERE workspace_id = OLD.id;
    DELETE FROM claims WHERE workspace_id = OLD.id;
    DELETE FROM event_batches WHERE workspace_id = OLD.id;
    DELETE FROM batch_successes WHERE workspace_id = OLD.id;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN NULL;
END
$$;
