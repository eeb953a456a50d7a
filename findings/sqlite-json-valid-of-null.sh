#!/usr/bin/env bash
# A CHECK of json_valid(column) on a nullable column holds or fails depending on the SQLite that evaluates it.
#
# Versions: apsw 3.40.0.0 (SQLite 3.40.0) and apsw 3.43.2.0 (SQLite 3.43.2), both from PyPI.
# Surprise: json_valid(NULL) is 0 in SQLite 3.40.0, so the CHECK refuses NULL; it is NULL in 3.43.2, and a CHECK that comes to NULL
#   passes. A database made by a program with a newer SQLite cannot be loaded from its own `.dump` by an older sqlite3 program, and
#   PRAGMA integrity_check of the older one reports damage in a sound file. `CHECK (c IS NULL OR json_valid(c))` behaves alike in both.
# Seen:
#   3.40.0 json_valid(NULL)=0 insert=refused integrity_check=CHECK constraint failed in t guarded=accepted
#   3.43.2 json_valid(NULL)=None insert=accepted integrity_check=ok guarded=accepted
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/old"
python3 -m venv "$work/new"
"$work/old/bin/pip" install -q --disable-pip-version-check apsw==3.40.0.0
"$work/new/bin/pip" install -q --disable-pip-version-check apsw==3.43.2.0
cat >"$work/look.py" <<'PYTHON'
import sys
import apsw

version = getattr(apsw, "sqlite_lib_version", None) or apsw.sqlitelibversion


def accepts(sql, table):
    try:
        cursor.execute(sql.format(table))
        return "accepted"
    except apsw.ConstraintError:
        return "refused"


connection = apsw.Connection(sys.argv[1])
cursor = connection.cursor()
cursor.execute("CREATE TABLE IF NOT EXISTS t (c TEXT CHECK (json_valid(c)))")
cursor.execute("CREATE TABLE IF NOT EXISTS guarded (c TEXT CHECK (c IS NULL OR json_valid(c)))")
valid = next(iter(cursor.execute("SELECT json_valid(NULL)")))[0]
inserted = accepts("INSERT INTO {} VALUES (NULL)", "t")
guarded = accepts("INSERT INTO {} VALUES (NULL)", "guarded")
check = next(iter(cursor.execute("PRAGMA integrity_check")))[0]
print(f"{version()} json_valid(NULL)={valid} insert={inserted} integrity_check={check} guarded={guarded}")
PYTHON
new=$("$work/new/bin/python" "$work/look.py" "$work/file.db")
old=$("$work/old/bin/python" "$work/look.py" "$work/file.db")
printf '%s\n%s\n' "$old" "$new"
[ "$old" = "3.40.0 json_valid(NULL)=0 insert=refused integrity_check=CHECK constraint failed in t guarded=accepted" ]
[ "$new" = "3.43.2 json_valid(NULL)=None insert=accepted integrity_check=ok guarded=accepted" ]
echo "as described"
