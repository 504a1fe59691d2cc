-- A customer's own calendar of payments: a link that is signed, ends by itself, and can be taken back.

-- Links that were signed for an older number are not valid any more.
ALTER TABLE agreement ADD COLUMN links INTEGER NOT NULL DEFAULT 1;

CREATE TABLE calendar_link (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    -- What links are signed with. It never leaves this database.
    key        BLOB NOT NULL,
    -- From office.toml: where customers find this office, null: nowhere; and how many days a link is valid.
    public_url TEXT,
    days       INTEGER NOT NULL
) STRICT;
