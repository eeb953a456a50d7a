-- How values are spelt: for fingerprints, ids and messages. What depends on a setting names it, so that no caller's session changes what
-- is computed.

-- A number as the canonical text spells it: exact where a 64-bit integer holds it, else the shortest that gives the same double. A whole
-- number that neither holds is refused, for it would be rounded.
CREATE OR REPLACE FUNCTION canonical_number(value numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE
SET search_path = @schema@, pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    double double precision;
    spelt text;
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
        PERFORM refuse('malformed', '400', 'number out of range, send it as a string', 'send numbers that a double holds');
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
    spelt := parts[1] || CASE
        WHEN exponent >= 0 AND point <= 16 THEN digits || repeat('0', exponent) || '.0'
        WHEN point > 0 AND point <= 16 THEN left(digits, point) || '.' || substr(digits, point + 1)
        WHEN point > -5 AND point <= 0 THEN '0.' || repeat('0', -point) || digits
        WHEN length(digits) = 1 THEN digits || 'e' || CASE WHEN point > 1 THEN '+' ELSE '' END || (point - 1)
        ELSE left(digits, 1) || '.' || substr(digits, 2) || 'e' || CASE WHEN point > 1 THEN '+' ELSE '' END || (point - 1)
    END;
    -- Either spelling of the double is fine: 1e20 is one.
    IF scale(value) = 0 AND spelt::numeric <> value AND (double::text)::numeric <> value THEN
        PERFORM refuse('malformed', '400', 'number out of range, send it as a string', 'whole numbers have 64 bits');
    END IF;
    RETURN spelt;
END
$$;

-- Sorted keys, no whitespace, one spelling for a number.
CREATE OR REPLACE FUNCTION canonical_json(value jsonb, depth integer DEFAULT 0) RETURNS text LANGUAGE plpgsql IMMUTABLE
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
CREATE OR REPLACE FUNCTION ulid(id uuid) RETURNS text LANGUAGE sql IMMUTABLE STRICT SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + substring(bits FROM 1 + 5 * place FOR 5)::integer, 1), ''
        ORDER BY place)
    FROM (SELECT B'00' || ('x' || replace(id::text, '-', ''))::bit(128) AS bits) AS spelt, generate_series(0, 25) AS place
$$;

-- An event's id is derived from its run and place (docs/decisions/0001-derived-step-and-event-ids.md).
CREATE OR REPLACE FUNCTION event_id(run_id uuid, seq bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT encode(set_byte(set_byte(digest, 6, (get_byte(digest, 6) & 15) | 128), 8, (get_byte(digest, 8) & 63) | 128), 'hex')::uuid
    FROM (SELECT substring(sha256(convert_to('event:' || ulid(run_id) || ':' || seq, 'UTF8')) FOR 16) AS digest) AS hashed
$$;

-- A UUID of version 7: the time in milliseconds, then chance (RFC 9562, section 5.7).
CREATE OR REPLACE FUNCTION new_run_id() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(chance, 14)) ::uuid
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS chance) AS drawn
$$;

-- Text for a message: short, and without what could drive a terminal.
CREATE OR REPLACE FUNCTION excerpt(value text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT regexp_replace(CASE WHEN length(value) > 64 THEN left(value, 63) || '…' ELSE value END, '[[:cntrl:]]', '?', 'g')
$$;

CREATE OR REPLACE FUNCTION as_told(moment timestamptz) RETURNS text LANGUAGE sql IMMUTABLE STRICT
SET search_path = @schema@, pg_catalog, pg_temp AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
