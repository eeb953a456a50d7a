-- Sessions of the dashboard, by the SHA-256 of what the browser holds; each stands for a token and ends with it.
CREATE TABLE sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    token_id TEXT NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_token ON sessions (token_id, created_at);

-- The project an agent task belongs to. Those made before belong to all of their workspace.
ALTER TABLE agent_tasks ADD COLUMN project_id TEXT;
