-- Of NULL, json_valid says 0 before SQLite 3.45 and NULL since: older programs found fault with a sound file, and a restored dump lost
-- its tokens and workers. SQLite changes no CHECK by ALTER TABLE; where the content stays as it is, it documents this way
-- (https://sqlite.org/lang_altertable.html#otheralter), which keeps what other tables refer to and columns that came later.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (json_valid(projects))', 'CHECK (projects IS NULL OR json_valid(projects))')
WHERE type = 'table' AND name = 'api_tokens';
UPDATE sqlite_schema
SET sql = replace(sql, 'CHECK (json_valid(kinds))', 'CHECK (kinds IS NULL OR json_valid(kinds))')
WHERE type = 'table' AND name = 'workers';
PRAGMA writable_schema = RESET;
