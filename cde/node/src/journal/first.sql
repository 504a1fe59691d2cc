CREATE TABLE IF NOT EXISTS journal (id TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS attempt (
    id TEXT PRIMARY KEY,
    payment TEXT NOT NULL,
    call TEXT NOT NULL,
    merchant TEXT NOT NULL,
    gateway TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    digest TEXT NOT NULL,
    sent_unix_ms INTEGER NOT NULL,
    deadline_unix_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('sent', 'unknown', 'approved', 'declined', 'rejected', 'abandoned'))
) STRICT;
CREATE INDEX IF NOT EXISTS attempt_open ON attempt (sent_unix_ms) WHERE state IN ('sent', 'unknown');
