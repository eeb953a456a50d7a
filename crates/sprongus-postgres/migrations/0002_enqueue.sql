-- Enqueueing from SQL, so that any program does it inside a transaction of its own; and the second vocabulary's views.
--
-- What is checked, answered and written is what the Rust path checks, answers and writes; tests/sql.rs holds the two together.
-- A refusal has the contract's message and hint, its code in DETAIL as JSON, and SQLSTATE SP and the HTTP status.

CREATE FUNCTION refuse(code text, status text, message text, hint text, fields jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'SP' || status, MESSAGE = message, HINT = hint,
        DETAIL = jsonb_strip_nulls(jsonb_build_object('code', code, 'fields', fields))::text;
END
$$;

-- A number as the canonical text spells it: exact where a 64-bit integer holds it, else the shortest that gives the same double.
CREATE FUNCTION canonical_number(value numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    double double precision;
    parts text[];
    digits text;
    exponent integer;
    point integer;
BEGIN
    IF scale(value) = 0 AND value BETWEEN -9223372036854775808 AND 18446744073709551615 THEN
        RETURN value::text;
    END IF;
    BEGIN
        double := value::double precision;
    EXCEPTION WHEN numeric_value_out_of_range THEN
        PERFORM refuse('malformed', '400', 'a number that no 64-bit type holds', 'send numbers that a double holds');
    END;
    IF double = trunc(double) AND abs(double) < 9007199254740992 THEN
        RETURN double::bigint::text;
    END IF;
    parts := regexp_match(double::text, '^(-?)([0-9]+)(?:\.([0-9]+))?(?:e([+-][0-9]+))?$');
    digits := parts[2] || coalesce(parts[3], '');
    exponent := coalesce(parts[4], '0')::integer - length(coalesce(parts[3], ''));
    digits := ltrim(digits, '0');
    -- Postgres takes one digit more where the shorter number lies just halfway to the neighbour.
    IF length(digits) >= 16 AND (parts[1] || round(digits::numeric, -1) || 'e' || exponent)::double precision = double THEN
        digits := round(digits::numeric, -1)::text;
    END IF;
    exponent := exponent + length(digits) - length(rtrim(digits, '0'));
    digits := rtrim(digits, '0');
    point := length(digits) + exponent;
    RETURN parts[1] || CASE
        WHEN exponent >= 0 AND point <= 16 THEN digits || repeat('0', exponent) || '.0'
        WHEN point > 0 AND point <= 16 THEN left(digits, point) || '.' || substr(digits, point + 1)
        WHEN point > -5 AND point <= 0 THEN '0.' || repeat('0', -point) || digits
        WHEN length(digits) = 1 THEN digits || 'e' || CASE WHEN point > 1 THEN '+' ELSE '' END || (point - 1)
        ELSE left(digits, 1) || '.' || substr(digits, 2) || 'e' || CASE WHEN point > 1 THEN '+' ELSE '' END || (point - 1)
    END;
END
$$;

-- Sorted keys, no whitespace, one spelling for a number.
CREATE FUNCTION canonical_json(value jsonb, depth integer DEFAULT 0) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'object' THEN
            IF depth >= 64 THEN
                PERFORM refuse('malformed', '400', 'nested more than 64 levels deep', 'send at most 64 levels');
            END IF;
            RETURN (SELECT '{' || coalesce(string_agg(to_json(m.key)::text || ':' || canonical_json(m.value, depth + 1), ','
                ORDER BY m.key COLLATE "C"), '') || '}' FROM jsonb_each(value) AS m);
        WHEN 'array' THEN
            IF depth >= 64 THEN
                PERFORM refuse('malformed', '400', 'nested more than 64 levels deep', 'send at most 64 levels');
            END IF;
            RETURN (SELECT '[' || coalesce(string_agg(canonical_json(m.value, depth + 1), ',' ORDER BY m.place), '') || ']'
                FROM jsonb_array_elements(value) WITH ORDINALITY AS m (value, place));
        WHEN 'string' THEN RETURN to_json(value #>> '{}')::text;
        WHEN 'number' THEN RETURN canonical_number((value #>> '{}')::numeric);
        ELSE RETURN value::text;
    END CASE;
END
$$;

-- The other spelling of the same 128 bits.
CREATE FUNCTION ulid(id uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + substring(bits FROM 1 + 5 * place FOR 5)::integer, 1), ''
        ORDER BY place)
    FROM (SELECT B'00' || ('x' || replace(id::text, '-', ''))::bit(128) AS bits) AS spelt, generate_series(0, 25) AS place
$$;

-- An event's id is derived from its run and place (docs/decisions/0001).
CREATE FUNCTION event_id(run_id uuid, seq bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT encode(set_byte(set_byte(digest, 6, (get_byte(digest, 6) & 15) | 128), 8, (get_byte(digest, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT substring(sha256(convert_to('event:' || ulid(run_id) || ':' || seq, 'UTF8')) FOR 16) AS digest) AS hashed
$$;

-- A UUID of version 7: the time in milliseconds, then chance (RFC 9562, section 5.7).
CREATE FUNCTION new_run_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(chance, 14)) ::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS chance) AS drawn
$$;

-- Text for a message: short, and without what could drive a terminal.
CREATE FUNCTION excerpt(value text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT regexp_replace(CASE WHEN length(value) > 64 THEN left(value, 63) || '…' ELSE value END, '[[:cntrl:]]', '?', 'g')
$$;

-- The first rule that a text matches. Generated from the table in sprongus-core/src/secrets/rules.rs; a test compares.
CREATE FUNCTION secret_rule(value text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT name FROM (VALUES
        (1, 'aws_access_key_id', '((?:AKIA|ASIA)[A-Z0-9]{16})'),
        (2, 'github_token', '(gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})'),
        (3, 'gitlab_token', '(gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20,})'),
        (4, 'slack_token', '(xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,})'),
        (5, 'stripe_key', '([rs]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,})'),
        (6, 'ai_provider_key', '(?:^|[^A-Za-z0-9]|\\[a-z])(sk-(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{20,})'),
        (7, 'google_key', '(?:^|[^A-Za-z0-9]|\\[a-z])(AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,})'),
        (8, 'registry_token', '(?:^|[^A-Za-z0-9]|\\[a-z])(npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|dckr_pat_[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,})'),
        (9, 'service_token', '(SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|do[opr]_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|hv[sbr]\.[A-Za-z0-9_-]{24,}|lin_api_[A-Za-z0-9]{32,}|AGE-SECRET-KEY-1[A-Z0-9]{58})'),
        (10, 'sprongus_token', '(sprg_[A-Za-z0-9_-]{16,})'),
        (11, 'jwt', '(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)'),
        (12, 'private_key', '(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)'),
        (13, 'bearer_token', '(?:[Bb]earer|BEARER)[ +]+([A-Za-z0-9._~+/=-]{20,})'),
        (14, 'basic_auth', 'uthorization[^A-Za-z0-9]{1,8}[Bb]asic +([A-Za-z0-9+/=_-]{8,})'),
        (15, 'url_password', '://[^][:space:]/?#:@"''<>]*:((?:[^][:space:]/?#@"''<>$]|\$[^][:space:]/?#@"''<>{(])[^][:space:]/?#@"''<>]*)@'),
        (16, 'url_query', '[?&](?:access_token|api_key|apikey|client_secret)=([A-Za-z0-9._~%+/=-]{12,})')
    ) AS rules (place, name, shape) WHERE value ~ shape ORDER BY place LIMIT 1
$$;

-- Whether a key names a credential, by the words of sprongus-core/src/secrets/names.rs; a test compares.
CREATE FUNCTION is_credential_name(key text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    tail text := right(regexp_replace(key, '[^A-Za-z]+$', ''), 128);
    words text[];
    whole text;
    last text;
BEGIN
    tail := regexp_replace(regexp_replace(tail, '([a-z0-9])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g');
    tail := btrim(lower(regexp_replace(tail, '[^A-Za-z0-9]+', ' ', 'g')));
    words := string_to_array(tail, ' ');
    whole := replace(tail, ' ', '');
    last := words[cardinality(words)];
    RETURN words <> '{}' AND (whole ~ '(password|passwd|passphrase|passcode|apikey|accesskey|secretkey|privatekey|signingkey|encryptionkey|masterkey|accountkey|accesstoken|authtoken|apitoken|bearertoken|refreshtoken|sessiontoken|clientsecret|appsecret|credential|credentials|authorization)$' OR whole IN ('pwd', 'secret', 'token')
        OR (last IN ('pwd', 'secret', 'token') AND NOT (last = 'token' AND coalesce(words[cardinality(words) - 1], '') IN ('idempotency', 'page', 'pagination', 'next', 'previous', 'prev', 'continuation', 'continue', 'cursor', 'sync', 'start', 'stop', 'end', 'first', 'last', 'bos', 'eos', 'pad', 'unk', 'mask', 'sep', 'cls', 'special', 'per', 'max', 'min'))));
END
$$;

-- Every place that holds a secret, in the order of the document. Secrets in base64 or in JSON within a string are found by the
-- worker, before it starts anything.
CREATE FUNCTION secrets_in(value jsonb, pointer text, is_credential boolean DEFAULT false)
RETURNS TABLE (place text, rule text) LANGUAGE plpgsql STABLE SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    member record;
    content text;
    joined text := '';
    strings integer := 0;
    found_before boolean := false;
    is_named boolean := false;
    is_given boolean := false;
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'string' THEN
            content := value #>> '{}';
            IF is_credential AND content ~ '\S' AND content
                !~ '^secret://(env/[A-Za-z_][A-Za-z0-9_]{0,127}|file/[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$' THEN
                RETURN QUERY SELECT pointer, 'credential_name';
            ELSIF length(content) >= 6 AND secret_rule(content) IS NOT NULL THEN
                RETURN QUERY SELECT pointer, secret_rule(content);
            END IF;
        WHEN 'number' THEN
            IF is_credential THEN
                RETURN QUERY SELECT pointer, 'credential_name';
            END IF;
        WHEN 'array' THEN
            FOR member IN SELECT m.value, m.place - 1 AS at FROM jsonb_array_elements(value) WITH ORDINALITY AS m (value, place)
            LOOP
                RETURN QUERY SELECT * FROM secrets_in(member.value, pointer || '/' || member.at, is_credential);
                found_before := found_before OR FOUND;
                IF jsonb_typeof(member.value) = 'string' THEN
                    joined := joined || (member.value #>> '{}');
                    strings := strings + 1;
                    CONTINUE;
                END IF;
                IF strings > 1 AND NOT found_before AND secret_rule(joined) IS NOT NULL THEN
                    RETURN QUERY SELECT pointer, secret_rule(joined);
                END IF;
                joined := '';
                strings := 0;
                found_before := false;
            END LOOP;
            IF strings > 1 AND NOT found_before AND secret_rule(joined) IS NOT NULL THEN
                RETURN QUERY SELECT pointer, secret_rule(joined);
            END IF;
        WHEN 'object' THEN
            FOR member IN SELECT m.key, m.value FROM jsonb_each(value) AS m ORDER BY m.key COLLATE "C"
            LOOP
                content := pointer || '/' || replace(replace(member.key, '~', '~0'), '/', '~1');
                IF length(member.key) >= 6 AND secret_rule(member.key) IS NOT NULL THEN
                    RETURN QUERY SELECT pointer, secret_rule(member.key);
                    content := pointer;
                END IF;
                RETURN QUERY SELECT * FROM secrets_in(member.value, content, is_credential_name(member.key));
                is_named := is_named OR (member.key IN ('name', 'Name', 'NAME', 'key', 'Key', 'header')
                    AND jsonb_typeof(member.value) = 'string' AND is_credential_name(member.value #>> '{}'));
                is_given := is_given OR (lower(member.key) = 'value' AND (jsonb_typeof(member.value) = 'number'
                    OR (jsonb_typeof(member.value) = 'string' AND (member.value #>> '{}') ~ '\S'
                        AND (member.value #>> '{}') !~ '^secret://(env|file)/[A-Za-z0-9_.-]{1,128}$')));
            END LOOP;
            IF is_named AND is_given THEN
                RETURN QUERY SELECT pointer || '/value', 'credential_name';
            END IF;
        ELSE NULL;
    END CASE;
END
$$;

CREATE FUNCTION fault(pointer text, message text) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(jsonb_build_object('pointer', pointer, 'message', message))
$$;

CREATE FUNCTION as_told(moment timestamptz) RETURNS text LANGUAGE sql IMMUTABLE STRICT
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Makes a run, or finds the one that the same key, or id, and request had made. Part of the caller's transaction: what is rolled
-- back was never there, and workers hear of it at the commit.
CREATE FUNCTION enqueue(
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
SET search_path = @schema@, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    before text := coalesce(current_setting('sprongus.workspace_id', true), '');
    home text := coalesce(enqueue.workspace, nullif(before, ''), 'default');
    who text := coalesce(enqueue.actor, session_user::text);
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
    IF enqueue.delay_ms IS NOT NULL AND at IS NOT NULL THEN
        faults := faults || fault('/delayMs', 'give run_at or delay_ms, not both');
    END IF;
    IF length(enqueue.idempotency_key) NOT BETWEEN 1 AND 255 OR enqueue.idempotency_key ~ U&'[\0001-\0008\000b-\001f\007f-\009f\00ad\034f\061c\115f\1160\17b4\17b5\180b-\180f\200b-\200f\2028-\202e\2060-\206f\3164\feff\ffa0\fff0-\fffb\+01d173-\+01d17a\+0e0000-\+0e0fff]' THEN
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
    INTO faults FROM (SELECT * FROM secrets_in(enqueue.input, '/input') UNION ALL SELECT * FROM secrets_in(labels, '/tags')) AS s;
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
        SELECT FROM agent_tasks a WHERE a.workspace_id = home AND a.id = enqueue.agent_task_id) THEN
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
        INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor, payload)
        VALUES (home, new_id, 1, 'run.enqueued', moment, who, jsonb_build_object('kind', enqueue.kind, 'runAt',
            CASE WHEN due > moment THEN as_told(due) END));
        PERFORM pg_notify('sprongus', 'sql');
        RETURN QUERY SELECT new_id, ulid(new_id), 'created';
    ELSE
        SELECT r.* INTO other FROM runs r WHERE r.workspace_id = home AND r.idempotency_key = enqueue.idempotency_key;
        IF other.id IS NULL THEN
            SELECT r.* INTO other FROM runs r WHERE r.workspace_id = home AND r.id = new_id;
        END IF;
        IF other.id IS NULL THEN
            PERFORM refuse('conflict', '409', 'the id is taken: ' || ulid(new_id), 'read what is there, then decide again');
        ELSIF other.fingerprint = print AND other.idempotency_key IS NOT DISTINCT FROM enqueue.idempotency_key THEN
            RETURN QUERY SELECT other.id, ulid(other.id), 'existing';
        ELSIF other.idempotency_key = enqueue.idempotency_key THEN
            PERFORM refuse('idempotency_key_reused', '422', 'the idempotency key belongs to run ' || ulid(other.id)
                || ' with another request', 'use another key for another request');
        ELSE
            PERFORM refuse('conflict', '409', 'run ' || ulid(other.id) || ' exists with another request',
                'read what is there, then decide again');
        END IF;
    END IF;
    PERFORM set_config('sprongus.workspace_id', before, true);
END
$$;

-- The same for many: an array of requests as the HTTP API takes them. All are made, or none.
CREATE FUNCTION enqueue_many(requests jsonb, workspace text DEFAULT NULL, actor text DEFAULT NULL)
RETURNS TABLE (place integer, run_id uuid, run text, outcome text) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    request record;
    known constant text[] := ARRAY['kind', 'input', 'projectId', 'agentTaskId', 'idempotencyKey', 'maxAttempts', 'priority', 'runAt',
        'delayMs', 'expireAt', 'tags', 'id', 'traceparent'];
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

-- Rows of these two are deleted by their place, and a policy that an index can answer would be taken for a better way, by a planner that
-- saw them empty: it walks over the whole backlog. As an expression it is a filter and no more.
ALTER POLICY own_workspace ON run_queue USING (workspace_id || '' = (SELECT nullif(current_setting('sprongus.workspace_id', true), '')));
ALTER POLICY own_workspace ON run_timers USING (workspace_id || '' = (SELECT nullif(current_setting('sprongus.workspace_id', true), '')));

-- Plans are made once per connection. Those made while the tables were empty walk over a whole workspace where a key would do, and
-- autovacuum looks by only once a minute: a process that works on a young database has its tables measured as they grow.
CREATE FUNCTION measure_tables() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = @schema@, pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT reltuples < 50000 FROM pg_class WHERE oid = 'runs'::regclass) AND pg_try_advisory_xact_lock(1936749159, 2) THEN
        ANALYZE runs, run_queue, run_timers, run_events, run_steps, run_logs, claims;
    END IF;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;

-- What the first migration granted by name stands; these are for people who know the second vocabulary. As the caller sees them.
CREATE VIEW runner_jobs WITH (security_invoker = true) AS
SELECT id, workspace_id, agent_task_id, project_id, kind AS type,
    CASE state
        WHEN 'queued' THEN CASE WHEN run_at > clock_timestamp() OR (gate IS NOT NULL AND gate ->> 'answer' IS NULL)
            THEN 'PENDING' ELSE 'QUEUED' END
        WHEN 'running' THEN 'RUNNING'
        WHEN 'succeeded' THEN 'COMPLETED'
        WHEN 'failed' THEN 'FAILED'
        WHEN 'canceled' THEN 'CANCELLED'
    END AS status,
    priority, progress AS progress_percent, input, result, error, claimed_by AS runner_id, created_at, started_at,
    finished_at AS completed_at, updated_at
FROM runs;

CREATE VIEW job_steps WITH (security_invoker = true) AS
SELECT id, run_id AS job_id, workspace_id, ordinal, attempt, upper(phase) AS phase, name, upper(type) AS type,
    upper(status) AS status, output, tokens_in AS tokens_input, tokens_out AS tokens_output, started_at, completed_at, duration_ms
FROM run_steps;

CREATE VIEW job_events WITH (security_invoker = true) AS
SELECT event_id(run_id, seq) AS id, run_id AS job_id, seq, step_id, workspace_id, type, at AS timestamp, actor, payload
FROM run_events;
