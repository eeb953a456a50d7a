-- What operators did. An event goes with its workspace alone; what concerns a whole workspace is in that of `default`.
CREATE TABLE operator_events (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    type text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    token_id uuid,
    subject text,
    state_before jsonb,
    state_after jsonb
);
CREATE INDEX operator_events_by_age ON operator_events (workspace_id, at DESC, id DESC);

ALTER TABLE operator_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE operator_events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON operator_events
    USING (workspace_id = (SELECT nullif(current_setting('sprongus.workspace_id', true), '')));

-- A workspace that is being deleted is gone when its events go; the policies hide other workspaces, so it is asked for under its own name.
CREATE FUNCTION operator_events_stay() RETURNS trigger LANGUAGE plpgsql
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
REVOKE ALL ON FUNCTION operator_events_stay() FROM PUBLIC;

CREATE TRIGGER operator_events_stay BEFORE DELETE ON operator_events
    FOR EACH ROW EXECUTE FUNCTION operator_events_stay();
CREATE TRIGGER operator_events_stay_as_they_are BEFORE UPDATE ON operator_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('an operator''s event is never changed');
CREATE TRIGGER operator_events_are_not_truncated BEFORE TRUNCATE ON operator_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('an operator''s event is deleted with its workspace only');
ALTER TABLE operator_events ENABLE ALWAYS TRIGGER operator_events_stay;
ALTER TABLE operator_events ENABLE ALWAYS TRIGGER operator_events_stay_as_they_are;
ALTER TABLE operator_events ENABLE ALWAYS TRIGGER operator_events_are_not_truncated;

-- Roles that served before this migration go on serving.
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT DISTINCT pg_get_userbyid(given.grantee)
        FROM pg_class AS c, aclexplode(c.relacl) AS given
        WHERE c.oid = 'run_queue'::regclass AND given.privilege_type = 'INSERT' AND given.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON operator_events TO %I', role);
    END LOOP;
END
$$;
