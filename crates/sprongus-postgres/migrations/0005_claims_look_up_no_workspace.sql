-- Each claim looked its workspace up twice, for the keys of these two tables, and locked its row for that, the same row for all who claim
-- there. What stands in them goes with the workspace by a trigger instead.
ALTER TABLE run_timers DROP CONSTRAINT run_timers_workspace_id_fkey;
ALTER TABLE claims DROP CONSTRAINT claims_workspace_id_fkey;

CREATE FUNCTION forget_workspace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
BEGIN
    PERFORM set_config('sprongus.workspace_id', OLD.id, true);
    DELETE FROM run_timers WHERE workspace_id = OLD.id;
    DELETE FROM claims WHERE workspace_id = OLD.id;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION forget_workspace() FROM PUBLIC;

-- Triggers come in the order of their names: behind those of the keys, which wait for whoever is still at work on the runs.
CREATE TRIGGER zz_forget AFTER DELETE ON workspaces FOR EACH ROW EXECUTE FUNCTION forget_workspace();
