-- The places whose bytes are to be deleted at `due_at`: of uploads that have no row yet, and of rows that are gone. Nothing refers to
-- a run or a workspace here, so that the places outlive both; it is one list for all, which any server works off.
CREATE TABLE unwanted_blobs (
    location text COLLATE "C" NOT NULL PRIMARY KEY,
    due_at timestamptz NOT NULL
);
CREATE INDEX unwanted_blobs_by_due_time ON unwanted_blobs (due_at, location);

-- However a row goes: by another file's coming, with its run, with its workspace. Its bytes are due at once, by any clock.
CREATE FUNCTION artifacts_leave_their_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO unwanted_blobs (location, due_at) VALUES (OLD.location, '-infinity')
    ON CONFLICT (location) DO UPDATE SET due_at = excluded.due_at;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION artifacts_leave_their_place() FROM PUBLIC;

CREATE TRIGGER artifacts_leave_their_place AFTER DELETE ON run_artifacts
    FOR EACH ROW EXECUTE FUNCTION artifacts_leave_their_place();
CREATE TRIGGER artifacts_are_not_truncated BEFORE TRUNCATE ON run_artifacts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('an artifact goes by itself or with its run');
ALTER TABLE run_artifacts ENABLE ALWAYS TRIGGER artifacts_leave_their_place;
ALTER TABLE run_artifacts ENABLE ALWAYS TRIGGER artifacts_are_not_truncated;

-- Roles that served before this migration go on serving: what `migrate --role` grants from now on, they are granted here. UPDATE is for
-- the lock under which an upload is given its row, while others look for what is due.
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT DISTINCT pg_get_userbyid(given.grantee)
        FROM pg_class AS c, aclexplode(c.relacl) AS given
        WHERE c.oid = 'run_artifacts'::regclass AND given.privilege_type = 'INSERT' AND given.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT DELETE ON run_artifacts TO %I', role);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON unwanted_blobs TO %I', role);
    END LOOP;
END
$$;
