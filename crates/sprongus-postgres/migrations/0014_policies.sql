-- A session that names no workspace is refused. It used to see no rows, which looks like an empty workspace: behind a pooler that sends a
-- transaction's statements to several servers, where only one of them was told the name.
CREATE FUNCTION no_workspace() RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'no workspace is named in this transaction' USING ERRCODE = 'undefined_object',
        HINT = 'name one first: SET LOCAL sprongus.workspace_id = ''default''';
END
$$;
GRANT EXECUTE ON FUNCTION no_workspace() TO PUBLIC;

-- What stands on the left is as before: the policies of three tables compare an expression, which no index answers.
DO $$
DECLARE
    tenant text;
BEGIN
    FOREACH tenant IN ARRAY ARRAY['projects', 'agent_tasks', 'runs', 'run_queue', 'run_timers', 'run_steps', 'run_events', 'run_logs',
        'run_artifacts', 'api_tokens', 'workers', 'kinds', 'claims', 'pruning', 'workspaces', 'run_minutes', 'run_totals', 'run_spans',
        'rolled_up', 'run_recent', 'operator_events']
    LOOP
        EXECUTE format(
            $policy$
                ALTER POLICY own_workspace ON %I USING (%s = (
                    SELECT CASE coalesce(current_setting('sprongus.workspace_id', true), '')
                        WHEN '' THEN no_workspace() ELSE current_setting('sprongus.workspace_id', true) END))
            $policy$,
            tenant,
            CASE
                WHEN tenant IN ('run_queue', 'run_timers', 'run_events') THEN $left$workspace_id || ''$left$
                WHEN tenant = 'workspaces' THEN 'id'
                ELSE 'workspace_id'
            END);
    END LOOP;
END
$$;
