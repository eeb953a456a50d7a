-- Row security on whatever tables the cut has, and what stands there before the first run.
DO $$
DECLARE
    tenant text;
BEGIN
    FOR tenant IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant);
        EXECUTE format(
            'CREATE POLICY own ON %I USING (%I = (SELECT nullif(current_setting(''sprongus.workspace_id'', true), '''')))',
            tenant, CASE tenant WHEN 'workspaces' THEN 'id' ELSE 'workspace_id' END);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sprongus_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sprongus_app;
SELECT set_config('sprongus.workspace_id', 'default', false);
INSERT INTO workspaces (id) VALUES ('default');
INSERT INTO projects SELECT 'default', 'project-' || n FROM generate_series(0, 3) AS n;
INSERT INTO agent_tasks SELECT 'default', 'task-' || n FROM generate_series(0, 9) AS n;
