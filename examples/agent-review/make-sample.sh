#!/bin/sh
# Makes a small repository in the folder $1, with a branch `louder` to be reviewed.
set -eu
test ! -e "$1" || { echo "$1 exists already" >&2; exit 1; }
git init --quiet --initial-branch main "$1"
cd "$1"
git config user.name "A Sample"
git config user.email sample@example.invalid

cat > greet.sh <<'END'
#!/bin/sh
echo "hello, ${1:-world}"
END
cat > check.sh <<'END'
#!/bin/sh
# The repository's own checks.
set -eu
sh -n greet.sh
test -n "$(sh greet.sh Ada)"
echo "all checks passed"
END
chmod +x greet.sh check.sh
git add .
git commit --quiet -m "greet whoever is named"

git switch --quiet --create louder
cat > greet.sh <<'END'
#!/bin/sh
# ask for the volume, later
name=${1:-world}
echo "HELLO, $name!"
END
git commit --quiet --all -m "greet louder"
git switch --quiet main
