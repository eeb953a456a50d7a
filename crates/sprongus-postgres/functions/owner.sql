-- What policies ask, and what crosses workspaces: it runs as the owner, is as narrow as it can be, and EXECUTE is granted by name.

-- A session that names no workspace is refused. If it saw no rows instead, that would look like an empty workspace: behind a pooler that
-- sends a transaction's statements to several servers, where only one of them was told the name.
CREATE OR REPLACE FUNCTION no_workspace() RETURNS text LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'no workspace is named in this transaction' USING ERRCODE = 'undefined_object',
        HINT = 'name one first: SET LOCAL sprongus.workspace_id = ''default''';
END
$$;

CREATE OR REPLACE FUNCTION token_by_hash(hash text) RETURNS SETOF api_tokens LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT * FROM api_tokens WHERE api_tokens.hash = token_by_hash.hash;
$$;

-- Whose session a browser holds, only the owner's function can say: as with tokens, the workspace is not known yet.
CREATE OR REPLACE FUNCTION session_by_hash(hash text)
RETURNS TABLE (token_id uuid, workspace_id text, name text, scopes jsonb, projects jsonb, created_at timestamptz,
    expires_at timestamptz, revoked_at timestamptz, last_used_at timestamptz, session_expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT t.id, t.workspace_id, t.name, t.scopes, t.projects, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
        s.expires_at
    FROM sessions s JOIN api_tokens t ON t.id = s.token_id AND t.workspace_id = s.workspace_id
    WHERE s.hash = session_by_hash.hash;
$$;

CREATE OR REPLACE FUNCTION workspaces_with_work(most integer) RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT w.id FROM workspaces w
    WHERE EXISTS (SELECT FROM run_queue q WHERE q.workspace_id = w.id)
        OR EXISTS (SELECT FROM run_timers t WHERE t.workspace_id = w.id AND t.due_at <= clock_timestamp())
        OR EXISTS (SELECT FROM settings s WHERE s.workspace_id = w.id AND s.due_at <= clock_timestamp())
    ORDER BY w.id LIMIT most;
$$;

CREATE OR REPLACE FUNCTION every_workspace() RETURNS SETOF workspaces LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT * FROM workspaces ORDER BY id;
$$;

-- Retention by kind. Takes up to `most` runs that ended in a state before `cutoff`, or, of a kind that is among `kinds`, before the time
-- at the same place of `cutoffs`; answers how many of each kind. Each look is a walk along an index that begins with the oldest run.
-- Where kinds have times of their own for success, each kind that there is is walked by itself, so that runs which one kind keeps longer
-- are in no other one's way. One call at a time for a workspace: of two that take a half of a batch of events each, neither would see that
-- nothing is left of it.
CREATE OR REPLACE FUNCTION prune_kinds(
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
    PERFORM pg_advisory_xact_lock(hashtextextended('sprongus prune ' || workspace, 0));
    IF ended = 'succeeded' AND cardinality(kinds) = 0 THEN
        INSERT INTO pruning (workspace_id, run_id)
        SELECT r.workspace_id, r.id FROM single_events e JOIN runs r ON r.id = e.run_id
        WHERE e.workspace_id = workspace AND e.type = 'run.succeeded' AND e.run_created_at < cutoff
            AND r.state = 'succeeded' AND r.finished_at < cutoff AND (projects IS NULL OR r.project_id = ANY (projects))
        ORDER BY e.run_created_at LIMIT most FOR UPDATE OF r SKIP LOCKED
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS marked = ROW_COUNT;
        INSERT INTO pruning (workspace_id, run_id)
        SELECT r.workspace_id, r.id FROM batch_successes e JOIN runs r ON r.id = e.run_id
        WHERE e.workspace_id = workspace AND e.run_created_at < cutoff
            AND r.state = 'succeeded' AND r.finished_at < cutoff AND (projects IS NULL OR r.project_id = ANY (projects))
        ORDER BY e.run_created_at LIMIT most - marked FOR UPDATE OF r SKIP LOCKED
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

-- Deletes a workspace with everything in it; its name is asked for twice, as a person is asked.
CREATE OR REPLACE FUNCTION drop_workspace(workspace text, name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    is_gone boolean;
BEGIN
    IF workspace IS DISTINCT FROM name THEN
        RAISE EXCEPTION 'the name is not the workspace''s' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('sprongus.workspace_id', workspace, true);
    DELETE FROM workspaces WHERE id = workspace;
    is_gone := FOUND;
    PERFORM set_config('sprongus.workspace_id', before, true);
    RETURN is_gone;
END
$$;

-- Plans are made once per connection. Those made while the tables were empty walk over a whole workspace where a key would do, and
-- autovacuum looks by only once a minute: a process that works on a young database has its tables measured as they grow.
CREATE OR REPLACE FUNCTION measure_tables() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT reltuples < 50000 FROM pg_class WHERE oid = 'runs'::regclass) AND pg_try_advisory_xact_lock(1936749159, 2) THEN
        ANALYZE runs, run_queue, run_timers, single_events, event_batches, batch_successes, run_steps, run_logs, claims;
    END IF;
END
$$;
