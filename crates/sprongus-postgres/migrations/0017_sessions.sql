-- Sessions of the dashboard, by the SHA-256 of what the browser holds; each stands for a token and ends with it.
CREATE TABLE sessions (
    hash text NOT NULL PRIMARY KEY,
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    token_id uuid NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_token ON sessions (token_id, created_at);

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON sessions USING (workspace_id = (
    SELECT CASE coalesce(current_setting('sprongus.workspace_id', true), '')
        WHEN '' THEN no_workspace() ELSE current_setting('sprongus.workspace_id', true) END));
CREATE POLICY owner_sees_all ON sessions FOR SELECT TO CURRENT_USER USING (true);

-- Whose session a browser holds, only the owner's function can say: as with tokens, the workspace is not known yet.
CREATE FUNCTION session_by_hash(hash text)
RETURNS TABLE (token_id uuid, workspace_id text, name text, scopes jsonb, projects jsonb, created_at timestamptz,
    expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz, session_expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT t.id, t.workspace_id, t.name, t.scopes, t.projects, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
        s.expires_at
    FROM sessions s JOIN api_tokens t ON t.id = s.token_id AND t.workspace_id = s.workspace_id
    WHERE s.hash = session_by_hash.hash;
$$;
REVOKE ALL ON FUNCTION session_by_hash(text) FROM PUBLIC;

-- The project an agent task belongs to. Those made before belong to all of their workspace.
ALTER TABLE agent_tasks ADD COLUMN project_id text;
-- The check of the rows that are there asks the policies, which know no workspace here: it is the owner's for that long.
ALTER TABLE agent_tasks NO FORCE ROW LEVEL SECURITY;
ALTER TABLE projects NO FORCE ROW LEVEL SECURITY;
ALTER TABLE agent_tasks ADD FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id);
ALTER TABLE agent_tasks FORCE ROW LEVEL SECURITY;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;

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
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON sessions TO %I', role);
        EXECUTE format('GRANT EXECUTE ON FUNCTION session_by_hash(text) TO %I', role);
    END LOOP;
END
$$;
