-- What happened, minute by minute and kind by kind, made of the stream of events, and how far it has been read.
CREATE TABLE run_minutes (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    minute TEXT NOT NULL,
    kind TEXT NOT NULL,
    enqueued INTEGER NOT NULL,
    started INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    canceled INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    succeeded_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, minute, kind)
) STRICT, WITHOUT ROWID;

-- Everything that ever happened, kind by kind.
CREATE TABLE run_totals (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    enqueued INTEGER NOT NULL,
    started INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    canceled INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    succeeded_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, kind)
) STRICT, WITHOUT ROWID;

-- How long it took: `bound` is the place of the group's bound in `rollup.rs`.
CREATE TABLE run_spans (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    span TEXT NOT NULL,
    bound INTEGER NOT NULL,
    count INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, kind, span, bound)
) STRICT, WITHOUT ROWID;

CREATE TABLE rolled_up (
    workspace_id TEXT NOT NULL PRIMARY KEY REFERENCES workspaces (id) ON DELETE CASCADE,
    pos INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
