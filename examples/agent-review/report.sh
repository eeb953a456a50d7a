#!/bin/sh
# Writes report.md: $1 the repository, $2 the branch, $3 the changed files, $4 the review, $5 who signed it off, if somebody has.
set -eu
{
    printf '# Review of `%s`\n\nRepository: `%s`\n\n## Changed\n\n```text\n%s\n```\n\n' "$2" "$1" "$3"
    printf '## What the model says\n\n```json\n%s\n```\n' "$4"
    test -z "${5:-}" || printf '\n## Signed off\n\n```json\n%s\n```\n' "$5"
} > report.md
