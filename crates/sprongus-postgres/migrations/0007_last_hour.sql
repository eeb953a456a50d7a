-- What the figures of the last hour are made of: `recent.rs` says what is added up, and `part` is the group of a time there.
CREATE TABLE run_recent (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    -- Empty for runs without one.
    project_id text NOT NULL,
    figure text NOT NULL,
    part integer NOT NULL,
    count bigint NOT NULL,
    total_ms bigint NOT NULL,
    PRIMARY KEY (workspace_id, minute, project_id, figure, part)
) WITH (fillfactor = 70);

ALTER TABLE run_recent ENABLE ROW LEVEL SECURITY;
ALTER TABLE run_recent FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON run_recent
    USING (workspace_id = (SELECT nullif(current_setting('sprongus.workspace_id', true), '')));

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
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON run_recent TO %I', role);
    END LOOP;
END
$$;
