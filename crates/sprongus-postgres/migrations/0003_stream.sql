-- The stream of a workspace, in the order in which it is read: transaction by transaction. The index that goes was for the newest
-- events of all workspaces together, which are now looked for along the new one, in their own workspace.
CREATE INDEX run_events_in_order ON run_events (workspace_id, tx, pos);
DROP INDEX run_events_by_pos;

-- An idempotency key is printable: no line feed and no tab either, which 0002 let through.
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('enqueue'::regproc), '\0001-\0008\000b-\001f', '\0001-\001f');
END $$;

-- The policy compares an expression, which no index answers: it filters, and a statement's own conditions choose the way. Else a
-- plan that was made while the table was empty may look for one run's events among all of its workspace's
-- (docs/decisions/0011-plans-on-young-tables.md).
ALTER POLICY own_workspace ON run_events
    USING (workspace_id || '' = (SELECT nullif(current_setting('sprongus.workspace_id', true), '')));
