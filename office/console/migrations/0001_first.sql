-- The office's first schema. Times are Unix milliseconds. Nothing here can hold a card: brand, last four and expiry
-- are the most that the door carries.

CREATE TABLE user (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('agent', 'admin')),
    extension     TEXT UNIQUE,
    password_hash TEXT NOT NULL,
    failures      INTEGER NOT NULL DEFAULT 0,
    locked_until  INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE sign_in_link (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT;

-- A key acts as its user: the same extension, the same name in the audit trail.
CREATE TABLE api_key (
    key_hash   BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE payment (
    id         TEXT PRIMARY KEY,
    call       TEXT NOT NULL,
    extension  TEXT NOT NULL,
    merchant   TEXT NOT NULL,
    minor      INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    account    TEXT,
    reference  TEXT,
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX payment_by_extension ON payment (extension, id);
CREATE INDEX payment_by_call ON payment (call);
CREATE INDEX payment_by_state ON payment (state);

CREATE TABLE attempt (
    id       TEXT PRIMARY KEY,
    payment  TEXT NOT NULL,
    number   INTEGER NOT NULL,
    card     TEXT,
    outcome  TEXT,
    sent_at  INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX attempt_by_payment ON attempt (payment, number);

-- Who, what, when, with what result, from where, about what (PCI DSS 10.2.2).
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    who       TEXT NOT NULL,
    what      TEXT NOT NULL,
    result    TEXT NOT NULL,
    origin    TEXT NOT NULL,
    object    TEXT NOT NULL,
    extension TEXT,
    payment   TEXT
) STRICT;
CREATE INDEX audit_by_payment ON audit (payment) WHERE payment IS NOT NULL;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

-- `status` is null while the first request with this key is being served, by the instance that claimed it.
CREATE TABLE idempotency (
    user_id    INTEGER NOT NULL,
    path       TEXT NOT NULL,
    key        TEXT NOT NULL,
    body_hash  BLOB NOT NULL,
    seed       TEXT NOT NULL,
    instance   TEXT NOT NULL,
    status     INTEGER,
    answer     TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, path, key)
) STRICT;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- One row: the cde's journal and the newest of its records that is stored here.
CREATE TABLE door (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    journal TEXT NOT NULL,
    number  INTEGER NOT NULL
) STRICT;
