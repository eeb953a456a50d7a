-- What happened, minute by minute and kind by kind, made of the stream of events, and how far it has been read.
CREATE TABLE run_minutes (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    kind text NOT NULL,
    enqueued bigint NOT NULL,
    started bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    canceled bigint NOT NULL,
    retried bigint NOT NULL,
    lost bigint NOT NULL,
    succeeded_ms bigint NOT NULL,
    PRIMARY KEY (workspace_id, minute, kind)
) WITH (fillfactor = 70);

-- Everything that ever happened, kind by kind.
CREATE TABLE run_totals (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    enqueued bigint NOT NULL,
    started bigint NOT NULL,
    succeeded bigint NOT NULL,
    failed bigint NOT NULL,
    canceled bigint NOT NULL,
    retried bigint NOT NULL,
    lost bigint NOT NULL,
    succeeded_ms bigint NOT NULL,
    PRIMARY KEY (workspace_id, kind)
) WITH (fillfactor = 50);

-- How long it took: `bound` is the place of the group's bound in `rollup.rs`.
CREATE TABLE run_spans (
    workspace_id text NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind text NOT NULL,
    span text NOT NULL,
    bound integer NOT NULL,
    count bigint NOT NULL,
    total_ms bigint NOT NULL,
    PRIMARY KEY (workspace_id, kind, span, bound)
) WITH (fillfactor = 50);

CREATE TABLE rolled_up (
    workspace_id text NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    tx xid8 NOT NULL,
    pos bigint NOT NULL
) WITH (fillfactor = 20);

DO $$
DECLARE
    tenant text;
BEGIN
    FOREACH tenant IN ARRAY ARRAY['run_minutes', 'run_totals', 'run_spans', 'rolled_up'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant);
        EXECUTE format(
            'CREATE POLICY own_workspace ON %I USING (workspace_id = (SELECT nullif(current_setting(''sprongus.workspace_id'', true), '''')))',
            tenant);
    END LOOP;
END
$$;

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
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON run_minutes, run_totals, run_spans, rolled_up TO %I', role);
    END LOOP;
END
$$;
