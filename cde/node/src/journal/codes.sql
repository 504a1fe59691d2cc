-- Orders of bounced calls that were made ahead of them. Their codes are nowhere: these are marks of them (HMAC-SHA-256), by a key
-- that lies in another file.
CREATE TABLE order_code (
    payment       TEXT PRIMARY KEY,
    -- The office's id of who has ordered it.
    owner         INTEGER,
    merchant      TEXT NOT NULL,
    amount_minor  INTEGER NOT NULL,
    currency      TEXT NOT NULL,
    reference     TEXT NOT NULL,
    back          TEXT,
    valid_s       INTEGER NOT NULL,
    said          BLOB NOT NULL CHECK (length(said) = 32),
    dialed        BLOB NOT NULL CHECK (length(dialed) = 32),
    until_unix_ms INTEGER NOT NULL,
    state         TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'used', 'replaced'))
) STRICT;
CREATE INDEX order_code_by_time ON order_code (until_unix_ms);
-- A code is used once, whatever anybody writes.
CREATE TRIGGER order_code_is_used_once BEFORE UPDATE OF state ON order_code WHEN OLD.state <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'the code is not good any more'); END;
