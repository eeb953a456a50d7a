-- How values are spelt for fingerprints, whole: each function here takes the place of the one of its name.
--
-- What a caller's session is set to must not change what is computed: what depends on a setting names it.

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
