-- A database that was restored from a backup: what it has forgotten, and what of that the card side does not have any more.

-- Records that are gone. Nothing is stored after them before somebody has said that it goes on without them.
CREATE TABLE missing_records (
    id          INTEGER PRIMARY KEY,
    journal     TEXT NOT NULL,
    -- Their numbers.
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    -- When the card side wrote the one before them, and the one after them; null: not known.
    after_at    INTEGER,
    before_at   INTEGER,
    noticed_at  INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT,
    reason      TEXT,
    UNIQUE (journal, first, last)
) STRICT;

-- Restores, as the card side has noticed them.
CREATE TABLE restored (
    id           INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    -- The newest record that was still here, and the newest that had been acknowledged.
    stored       INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    -- What was done between this and `at` had been forgotten.
    since_at     INTEGER NOT NULL,
    gone         INTEGER NOT NULL,
    told_again   INTEGER NOT NULL
) STRICT;
