-- What counts as a secret.

-- The first rule that a text matches. Generated from the table in sprongus-core/src/secrets/rules.rs; a test compares.
CREATE OR REPLACE FUNCTION secret_rule(value text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = @schema@, pg_catalog, pg_temp AS $$
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
        (10, 'sprongus_token', '(spr_[0-9a-f]{32,})'),
        (11, 'jwt', '(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?)'),
        (12, 'private_key', '(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)'),
        (13, 'bearer_token', '(?:[Bb]earer|BEARER)[ +]+([A-Za-z0-9._~+/=-]{20,})'),
        (14, 'basic_auth', 'uthorization[^A-Za-z0-9]{1,8}[Bb]asic +([A-Za-z0-9+/=_-]{8,})'),
        (15, 'url_password', '://[^][:space:]/?#:@"''<>]*:((?:[^][:space:]/?#@"''<>$]|\$[^][:space:]/?#@"''<>{(])[^][:space:]/?#@"''<>]*)@'),
        (16, 'url_query', '[?&](?:access_token|api_key|apikey|client_secret)=([A-Za-z0-9._~%+/=-]{12,})'),
        (17, 'assigned_credential', '(?:[Pp]assword|PASSWORD|[Pp]asswd|PASSWD|[Pp]asswort|PASSWORT|[Pp]assphrase|PASSPHRASE|[Aa]pi[_-]?[Kk]ey|API[_-]?KEY|[Ss]ecret[_-]?[Kk]ey|SECRET[_-]?KEY|[Aa]ccess[_-]?[Kk]ey|ACCESS[_-]?KEY|[Aa]ccount[_-]?[Kk]ey|[Aa]ccess[_-]?[Tt]oken|ACCESS[_-]?TOKEN|[Aa]uth[_-]?[Tt]oken|AUTH[_-]?TOKEN|[Cc]lient[_-]?[Ss]ecret|CLIENT[_-]?SECRET) ?= ?["'']?([0-9][^]\[[:space:]"''<>${}()*;&,|:.\\]{3,}|[^]\[[:space:]0-9"''<>${}()*;&,|:./~\\](?:[^]\[[:space:]0-9"''<>${}()*;&,|:.\\]?[0-9][^]\[[:space:]"''<>${}()*;&,|:.\\]{2,}|[^]\[[:space:]0-9"''<>${}()*;&,|:.\\]{2,}[0-9][^]\[[:space:]"''<>${}()*;&,|:.\\]*))'),
        (18, 'connection_password', '; ?(?:[Pp]assword|PASSWORD|[Pp]wd|PWD) ?= ?["'']?([^]\[[:space:]"''<>${}()*;&,|:./~\\][^]\[[:space:]"''<>${}()*;&,|:.\\]{2,})'),
        (19, 'command_password', '(?:^|[^A-Za-z0-9])(?:(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)(?: +[^][:space:];|&]+)* +-p|sshpass +-p *|redis-cli(?: +[^][:space:];|&]+)* +-a +|curl(?: +[^][:space:];|&]+)* +(?:-u *|--user[ =]+)["'']?[^][:space:]:"''$]+:)["'']?([^]\[[:space:]"''<>${}()*;&,|\\]{3,})')
    ) AS rules (place, name, shape) WHERE value ~ shape ORDER BY place LIMIT 1
$$;

-- Whether a key names a credential, by the words of sprongus-core/src/secrets/names.rs; a test compares. In lower case by "C": by the
-- rules of Turkish, which a database may have, API_KEY has no i.
CREATE OR REPLACE FUNCTION is_credential_name(key text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp AS $$
DECLARE
    tail text := right(regexp_replace(key, '[^A-Za-z]+$', ''), 128);
    words text[];
    whole text;
    last text;
BEGIN
    tail := regexp_replace(regexp_replace(tail, '([a-z0-9])([A-Z])', '\1 \2', 'g'), '([A-Z])([A-Z][a-z])', '\1 \2', 'g');
    tail := btrim(lower(regexp_replace(tail, '[^A-Za-z0-9]+', ' ', 'g') COLLATE "C"));
    words := string_to_array(tail, ' ');
    whole := replace(tail, ' ', '');
    last := words[cardinality(words)];
    RETURN words <> '{}' AND (whole ~ '(password|passwd|passphrase|passcode|passwort|kennwort|apikey|accesskey|secretkey|privatekey|signingkey|encryptionkey|masterkey|accountkey|accesstoken|authtoken|apitoken|bearertoken|refreshtoken|sessiontoken|clientsecret|appsecret|credential|credentials|authorization)$' OR whole IN ('pwd', 'secret', 'token')
        OR (last IN ('pwd', 'secret', 'token') AND NOT (last = 'token' AND coalesce(words[cardinality(words) - 1], '') IN ('idempotency', 'page', 'pagination', 'next', 'previous', 'prev', 'continuation', 'continue', 'cursor', 'sync', 'start', 'stop', 'end', 'first', 'last', 'bos', 'eos', 'pad', 'unk', 'mask', 'sep', 'cls', 'special', 'per', 'max', 'min'))));
END
$$;

-- Every place that holds a secret, in the order of the document. Secrets in base64 or in JSON within a string are found by the
-- worker, before it starts anything.
CREATE OR REPLACE FUNCTION secrets_in(value jsonb, pointer text, is_credential boolean DEFAULT false)
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
                is_given := is_given OR (lower(member.key COLLATE "C") = 'value' AND (jsonb_typeof(member.value) = 'number'
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
