-- What SQL may call. Settings that could change what a function computes, or keep it from its tables, are its own and not its caller's.

CREATE OR REPLACE FUNCTION refuse(code text, status text, message text, hint text, fields jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'SP' || status, MESSAGE = message, HINT = hint,
        DETAIL = jsonb_strip_nulls(jsonb_build_object('code', code, 'fields', fields))::text;
END
$$;

CREATE OR REPLACE FUNCTION fault(pointer text, message text) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('pointer', pointer, 'message', message))
$$;

-- Makes a run, or finds the one that the same key, or id, and request had made. Part of the caller's transaction: what is rolled
-- back was never there, and workers hear of it at the commit.
CREATE OR REPLACE FUNCTION enqueue(
    kind text,
    input jsonb DEFAULT '{}',
    project_id text DEFAULT NULL,
    agent_task_id text DEFAULT NULL,
    idempotency_key text DEFAULT NULL,
    max_attempts integer DEFAULT NULL,
    priority integer DEFAULT NULL,
    run_at timestamptz DEFAULT NULL,
    delay_ms bigint DEFAULT NULL,
    expire_at timestamptz DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    id uuid DEFAULT NULL,
    workspace text DEFAULT NULL,
    actor text DEFAULT NULL,
    traceparent text DEFAULT NULL
) RETURNS TABLE (run_id uuid, run text, outcome text) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp
SET extra_float_digits = 1 SET standard_conforming_strings = on SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres
SET TimeZone = 'UTC' SET bytea_output = hex SET transform_null_equals = off SET array_nulls = on
SET quote_all_identifiers = off SET row_security = on AS $$
#variable_conflict use_column
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    home text := coalesce(enqueue.workspace, nullif(before, ''), 'default');
    -- What a caller calls itself stands behind the role that connected, which it cannot choose.
    who text := 'sql:' || quote_ident(session_user) || coalesce(' as ' || excerpt(nullif(btrim(enqueue.actor), '')), '');
    may_look boolean := has_table_privilege(session_user, 'runs', 'SELECT');
    -- The projects that the caller is narrowed to, as `enqueue_in` names them; none: all of the workspace.
    projects text[] := nullif(current_setting('sprongus.projects', true), '')::text[];
    new_id uuid := coalesce(enqueue.id, new_run_id());
    moment timestamptz := date_trunc('milliseconds', clock_timestamp());
    at timestamptz := date_trunc('milliseconds', enqueue.run_at);
    expiry timestamptz := date_trunc('milliseconds', enqueue.expire_at);
    labels jsonb := coalesce(enqueue.tags, '{}');
    faults jsonb := '[]';
    content text;
    print text;
    due timestamptz;
    other runs%ROWTYPE;
    what constant text := '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';
    earliest constant timestamptz := '0001-01-01 00:00:00+00';
    latest constant timestamptz := '9999-12-30 22:00:00.999+00';
    slug constant text := '[a-z0-9][a-z0-9-]{0,63}';
BEGIN
    IF enqueue.kind IS NULL OR enqueue.kind !~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$' THEN
        faults := faults || fault('/kind', 'not a kind: ' || excerpt(coalesce(enqueue.kind, ''))
            || '; a kind follows [A-Za-z0-9][A-Za-z0-9._/-]{0,127}');
    END IF;
    IF enqueue.project_id !~ ('^' || slug || '$') THEN
        faults := faults || fault('/projectId', 'not a project id: ' || excerpt(enqueue.project_id) || '; a project id follows ' || slug);
    END IF;
    IF enqueue.agent_task_id !~ ('^' || what || '$') THEN
        faults := faults || fault('/agentTaskId', 'not an agent task id: ' || excerpt(enqueue.agent_task_id)
            || '; an agent task id follows ' || what);
    END IF;
    IF enqueue.max_attempts NOT BETWEEN 1 AND 100 THEN
        faults := faults || fault('/maxAttempts', 'maxAttempts must be 1 to 100: ' || enqueue.max_attempts);
    END IF;
    IF enqueue.priority NOT BETWEEN 0 AND 100 THEN
        faults := faults || fault('/priority', 'priority must be 0 to 100: ' || enqueue.priority);
    END IF;
    IF enqueue.delay_ms NOT BETWEEN 0 AND 316224000000 THEN
        faults := faults || fault('/delayMs', 'a delay is ten years at most');
    END IF;
    IF at NOT BETWEEN earliest AND latest THEN
        faults := faults || fault('/runAt', 'a time is in the years 1 to 9999');
    END IF;
    IF expiry NOT BETWEEN earliest AND latest THEN
        faults := faults || fault('/expireAt', 'a time is in the years 1 to 9999');
    END IF;
    IF enqueue.delay_ms IS NOT NULL AND at IS NOT NULL THEN
        faults := faults || fault('/delayMs', 'give run_at or delay_ms, not both');
    END IF;
    IF length(enqueue.idempotency_key) NOT BETWEEN 1 AND 255 OR enqueue.idempotency_key ~ U&'[\0001-\001f\007f-\009f\00ad\034f\061c\115f\1160\17b4\17b5\180b-\180f\200b-\200f\2028-\202e\2060-\206f\3164\feff\ffa0\fff0-\fffb\+01d173-\+01d17a\+0e0000-\+0e0fff]' THEN
        faults := faults || fault('/idempotencyKey', 'an idempotency key is 1 to 255 printable characters');
    END IF;
    IF jsonb_typeof(labels) <> 'object' OR EXISTS (SELECT FROM jsonb_each(CASE jsonb_typeof(labels) WHEN 'object' THEN labels ELSE '{}' END) AS t
        WHERE octet_length(t.key) NOT BETWEEN 1 AND 64 OR jsonb_typeof(t.value) <> 'string' OR octet_length(t.value #>> '{}') > 256
            OR (t.key || (t.value #>> '{}')) ~ U&'[\0001-\001f\007f-\009f]') THEN
        faults := faults || fault('/tags', 'a tag is a name of 1 to 64 and a value of up to 256 printable bytes');
    ELSIF (SELECT count(*) FROM jsonb_object_keys(labels)) > 16 THEN
        faults := faults || fault('/tags', 'at most 16 tags');
    END IF;
    IF faults <> '[]' THEN
        PERFORM refuse('validation', '422', (SELECT string_agg(f ->> 'message', '; ') FROM jsonb_array_elements(faults) AS f),
            'correct the values named', faults);
    END IF;

    enqueue.input := coalesce(enqueue.input, '{}');
    content := canonical_json(enqueue.input);
    IF octet_length(content) > 1048576 THEN
        PERFORM refuse('payload_too_large', '413', 'an input is at most 1 MiB: ' || octet_length(content) || ' bytes',
            'keep large data elsewhere and pass a reference to it');
    END IF;
    SELECT jsonb_agg(jsonb_build_object('pointer', s.place, 'message', 'looks like a secret (' || s.rule || ')'))
    INTO faults FROM (
        SELECT * FROM secrets_in(enqueue.input, '/input') UNION ALL SELECT * FROM secrets_in(labels, '/tags')
        UNION ALL SELECT * FROM secrets_in(to_jsonb(enqueue.kind), '/kind')
        UNION ALL SELECT * FROM secrets_in(to_jsonb(enqueue.project_id), '/projectId')
        UNION ALL SELECT * FROM secrets_in(to_jsonb(enqueue.agent_task_id), '/agentTaskId')
        UNION ALL SELECT * FROM secrets_in(to_jsonb(enqueue.idempotency_key), '/idempotencyKey')
        UNION ALL SELECT * FROM secrets_in(to_jsonb(enqueue.actor), '/actor')) AS s;
    IF faults IS NOT NULL THEN
        PERFORM refuse('secret_in_input', '422', 'the input holds a secret at '
            || (SELECT string_agg(f ->> 'pointer', ', ') FROM jsonb_array_elements(faults) AS f),
            'pass a reference such as `secret://env/NAME`; the worker resolves it', faults);
    END IF;
    print := encode(sha256(convert_to(canonical_json(jsonb_build_object('kind', enqueue.kind, 'input', enqueue.input)
        || jsonb_strip_nulls(jsonb_build_object('projectId', enqueue.project_id, 'agentTaskId', enqueue.agent_task_id,
            'maxAttempts', enqueue.max_attempts, 'priority', enqueue.priority, 'expireAt', as_told(expiry),
            'runAt', as_told(at), 'delayMs', enqueue.delay_ms))
        || CASE labels WHEN '{}' THEN '{}' ELSE jsonb_build_object('tags', labels) END, -1), 'UTF8')), 'hex');

    PERFORM set_config('sprongus.workspace_id', home, true);
    IF NOT EXISTS (SELECT FROM workspaces w WHERE w.id = home) THEN
        PERFORM refuse('not_found', '404', 'no such workspace: ' || excerpt(home), '`sprongus workspaces create` makes one');
    END IF;
    IF enqueue.project_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM projects p WHERE p.workspace_id = home AND p.id = enqueue.project_id) THEN
        PERFORM refuse('validation', '422', 'no such project: ' || enqueue.project_id,
            'make it with `sprongus projects create ' || enqueue.project_id || '`',
            fault('/projectId', 'no such project: ' || enqueue.project_id));
    END IF;
    IF enqueue.agent_task_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM agent_tasks a WHERE a.workspace_id = home AND a.id = enqueue.agent_task_id
            AND (projects IS NULL OR a.project_id = ANY (projects))) THEN
        PERFORM refuse('validation', '422', 'no such agent task: ' || enqueue.agent_task_id,
            'make it with `sprongus agent-tasks create ' || enqueue.agent_task_id || '`',
            fault('/agentTaskId', 'no such agent task: ' || enqueue.agent_task_id));
    END IF;

    due := greatest(at, moment + coalesce(enqueue.delay_ms, 0) * interval '1 millisecond');
    INSERT INTO runs AS r (workspace_id, id, project_id, agent_task_id, kind, input, priority, max_attempts, run_at, expire_at,
        idempotency_key, fingerprint, tags, traceparent, state, lease_ms, last_seq, created_at, updated_at)
    VALUES (home, new_id, enqueue.project_id, enqueue.agent_task_id, enqueue.kind, content::jsonb, coalesce(enqueue.priority, 0),
        coalesce(enqueue.max_attempts, 3), due, expiry, enqueue.idempotency_key, print, labels, CASE WHEN enqueue.traceparent ~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' THEN enqueue.traceparent END,
        'queued', 30000,
        1, moment, moment)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        IF due <= moment THEN
            INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, project_id, plain)
            VALUES (home, enqueue.kind, 100 - coalesce(enqueue.priority, 0), due, new_id, enqueue.project_id, expiry IS NULL);
        END IF;
        IF due > moment OR expiry IS NOT NULL THEN
            INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
            VALUES (home, CASE WHEN due <= moment THEN expiry ELSE least(expiry, due) END, ARRAY[new_id], ARRAY[0::bigint]);
        END IF;
        INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, payload)
        VALUES (home, new_id, 1, 'run.enqueued', moment, who, jsonb_build_object('kind', enqueue.kind, 'runAt',
            CASE WHEN due > moment THEN as_told(due) END));
        PERFORM pg_notify('sprongus', 'sql');
        RETURN QUERY SELECT new_id, ulid(new_id), 'created';
    ELSE
        SELECT r.* INTO other FROM runs r WHERE r.workspace_id = home AND r.idempotency_key = enqueue.idempotency_key;
        IF other.id IS NULL THEN
            SELECT r.* INTO other FROM runs r WHERE r.workspace_id = home AND r.id = new_id;
        END IF;
        -- What belongs to another workspace, or to a project that the caller may not see, is not named.
        IF other.id IS NULL OR (projects IS NOT NULL AND (other.project_id = ANY (projects)) IS NOT TRUE) THEN
            PERFORM refuse('conflict', '409', 'the id or key is taken', 'use another one');
        ELSIF other.fingerprint = print AND other.idempotency_key IS NOT DISTINCT FROM enqueue.idempotency_key THEN
            RETURN QUERY SELECT other.id, ulid(other.id), 'existing';
        ELSIF other.idempotency_key = enqueue.idempotency_key THEN
            -- Who may not look at runs is told of none.
            PERFORM refuse('idempotency_key_reused', '422', CASE WHEN may_look
                THEN 'the idempotency key belongs to run ' || ulid(other.id) || ' with another request'
                ELSE 'the idempotency key belongs to another request' END, 'use another key for another request');
        ELSE
            PERFORM refuse('conflict', '409', CASE WHEN may_look
                THEN 'run ' || ulid(other.id) || ' exists with another request'
                ELSE 'the id belongs to another request' END, 'read what is there, then decide again');
        END IF;
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
END
$$;

-- The same for many: an array of requests as the HTTP API takes them. All are made, or none.
CREATE OR REPLACE FUNCTION enqueue_many(requests jsonb, workspace text DEFAULT NULL, actor text DEFAULT NULL)
RETURNS TABLE (place integer, run_id uuid, run text, outcome text) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp
SET extra_float_digits = 1 SET standard_conforming_strings = on SET DateStyle = 'ISO, YMD' SET IntervalStyle = postgres
SET TimeZone = 'UTC' SET bytea_output = hex SET transform_null_equals = off SET array_nulls = on
SET quote_all_identifiers = off SET row_security = on AS $$
#variable_conflict use_column
DECLARE
    request record;
    known constant text[] := ARRAY['kind', 'input', 'projectId', 'agentTaskId', 'idempotencyKey', 'maxAttempts', 'priority', 'runAt',
        'delayMs', 'expireAt', 'tags', 'id', 'traceparent'];
    -- RFC 3339 with its zone: what else Postgres takes for a time depends on when and where it is read.
    moment constant text := '^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}(:?\d{2})?)$';
    stranger text;
    most integer;
    urgency integer;
    delay bigint;
    due timestamptz;
    expiry timestamptz;
    own_id uuid;
BEGIN
    IF jsonb_typeof(requests) IS DISTINCT FROM 'array' OR jsonb_array_length(requests) > 1000 THEN
        PERFORM refuse('validation', '422', 'requests must be an array of up to 1000', 'correct the values named');
    END IF;
    FOR request IN SELECT r.value AS asked, (r.at - 1)::integer AS at FROM jsonb_array_elements(requests) WITH ORDINALITY AS r (value, at)
    LOOP
        IF jsonb_typeof(request.asked) <> 'object' THEN
            PERFORM refuse('validation', '422', 'a request must be an object', 'correct the values named',
                fault('/' || request.at, 'a request must be an object'));
        END IF;
        SELECT key INTO stranger FROM jsonb_object_keys(request.asked) AS key WHERE key <> ALL (known) ORDER BY key LIMIT 1;
        IF FOUND THEN
            PERFORM refuse('validation', '422', 'unknown field: ' || excerpt(stranger), 'correct the values named',
                fault('/' || request.at, 'unknown field: ' || excerpt(stranger)));
        END IF;
        SELECT key INTO stranger FROM jsonb_each(request.asked) WHERE key NOT IN ('input', 'tags') AND jsonb_typeof(value)
            NOT IN ('null', CASE WHEN key IN ('maxAttempts', 'priority', 'delayMs') THEN 'number' ELSE 'string' END) LIMIT 1;
        BEGIN
            IF FOUND THEN
                RAISE data_exception;
            END IF;
            SELECT key INTO stranger FROM jsonb_each_text(request.asked)
            WHERE key IN ('runAt', 'expireAt') AND value !~ moment LIMIT 1;
            IF FOUND THEN
                RAISE data_exception;
            END IF;
            most := (request.asked ->> 'maxAttempts')::integer;
            urgency := (request.asked ->> 'priority')::integer;
            delay := (request.asked ->> 'delayMs')::bigint;
            due := (request.asked ->> 'runAt')::timestamptz;
            expiry := (request.asked ->> 'expireAt')::timestamptz;
            own_id := (request.asked ->> 'id')::uuid;
        EXCEPTION WHEN data_exception THEN
            PERFORM refuse('validation', '422', 'a value does not fit its field', 'correct the values named',
                fault(rtrim('/' || request.at || '/' || coalesce(stranger, ''), '/'), 'a value does not fit its field'));
        END;
        RETURN QUERY SELECT request.at, e.run_id, e.run, e.outcome FROM enqueue(
            kind => request.asked ->> 'kind', input => nullif(request.asked -> 'input', 'null'), project_id => request.asked ->> 'projectId',
            agent_task_id => request.asked ->> 'agentTaskId', idempotency_key => request.asked ->> 'idempotencyKey',
            max_attempts => most, priority => urgency, run_at => due, delay_ms => delay, expire_at => expiry,
            tags => nullif(request.asked -> 'tags', 'null'), id => own_id, workspace => enqueue_many.workspace, actor => enqueue_many.actor,
            traceparent => request.asked ->> 'traceparent') AS e;
    END LOOP;
END
$$;
