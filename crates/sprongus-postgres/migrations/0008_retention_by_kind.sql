-- Retention by kind. Takes up to `most` runs that ended in a state before `cutoff`, or, of a kind that is among `kinds`, before the time
-- at the same place of `cutoffs`; answers how many of each kind. Each look is a walk along an index that begins with the oldest run.
-- Where kinds have times of their own for success, each kind that there is is walked by itself, so that runs which one kind keeps longer
-- are in no other one's way.
CREATE FUNCTION prune_kinds(
    workspace text, ended text, cutoff timestamptz, kinds text[], cutoffs timestamptz[], projects text[], most integer)
RETURNS TABLE (of_kind text, taken bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    one text := '';
    own timestamptz;
    remaining integer := most;
    marked integer;
BEGIN
    PERFORM set_config('sprongus.workspace_id', workspace, true);
    IF ended = 'succeeded' AND cardinality(kinds) = 0 THEN
        INSERT INTO pruning (workspace_id, run_id)
        SELECT r.workspace_id, r.id FROM run_events e JOIN runs r ON r.id = e.run_id
        WHERE e.workspace_id = workspace AND e.type = 'run.succeeded' AND e.run_created_at < cutoff
            AND r.state = 'succeeded' AND r.finished_at < cutoff AND (projects IS NULL OR r.project_id = ANY (projects))
        ORDER BY e.run_created_at LIMIT most FOR UPDATE OF r SKIP LOCKED
        ON CONFLICT DO NOTHING;
    ELSIF ended = 'succeeded' THEN
        LOOP
            SELECT r.kind INTO one FROM runs r WHERE r.workspace_id = workspace AND r.kind > one ORDER BY r.kind LIMIT 1;
            EXIT WHEN NOT FOUND OR remaining <= 0;
            own := coalesce(cutoffs[array_position(kinds, one)], cutoff);
            INSERT INTO pruning (workspace_id, run_id)
            SELECT r.workspace_id, r.id FROM runs r
            WHERE r.workspace_id = workspace AND r.kind = one AND r.state = 'succeeded' AND r.created_at < own
                AND r.finished_at < own AND (projects IS NULL OR r.project_id = ANY (projects))
            ORDER BY r.created_at LIMIT remaining FOR UPDATE SKIP LOCKED
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS marked = ROW_COUNT;
            remaining := remaining - marked;
        END LOOP;
    ELSE
        INSERT INTO pruning (workspace_id, run_id)
        SELECT r.workspace_id, r.id FROM runs r
        WHERE r.workspace_id = workspace AND r.ended_as = ended AND r.state = ended
            AND r.created_at < greatest(cutoff, (SELECT max(c) FROM unnest(cutoffs) AS c))
            AND r.finished_at < coalesce(cutoffs[array_position(kinds, r.kind)], cutoff)
            AND (projects IS NULL OR r.project_id = ANY (projects))
        ORDER BY r.created_at LIMIT most FOR UPDATE SKIP LOCKED
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN QUERY
    WITH gone AS (
        DELETE FROM runs r WHERE r.id IN (SELECT p.run_id FROM pruning p WHERE p.workspace_id = workspace) RETURNING r.kind)
    SELECT gone.kind, count(*) FROM gone GROUP BY gone.kind;
    DELETE FROM pruning p WHERE p.workspace_id = workspace;
    PERFORM set_config('sprongus.workspace_id', before, true);
END
$$;
REVOKE ALL ON FUNCTION prune_kinds(text, text, timestamptz, text[], timestamptz[], text[], integer) FROM PUBLIC;

-- Roles that served before this migration go on serving.
DO $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT DISTINCT pg_get_userbyid(given.grantee)
        FROM pg_proc AS p, aclexplode(p.proacl) AS given
        WHERE p.oid = 'prune(text, text, timestamptz, text[], integer)'::regprocedure AND given.privilege_type = 'EXECUTE'
            AND given.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION prune_kinds(text, text, timestamptz, text[], timestamptz[], text[], integer) TO %I', role);
    END LOOP;
END
$$;
DROP FUNCTION prune(text, text, timestamptz, text[], integer);
