-- Agreements on recurring payments, and the payments that they have handed out. A stored card is its token.

CREATE TABLE agreement (
    id         TEXT PRIMARY KEY,
    merchant   TEXT NOT NULL,
    token      TEXT NOT NULL,
    brand      TEXT NOT NULL,
    last4      TEXT NOT NULL,
    account    TEXT,
    -- Name of the time zone, and the time of day at which its payments are taken there.
    zone       TEXT NOT NULL,
    time       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    -- The network's id of the first payment.
    network_id TEXT,
    body       TEXT NOT NULL,
    -- When the next payment is to be handed out; null: none is.
    next_at    INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX agreement_next ON agreement (next_at) WHERE next_at IS NOT NULL;

-- A payment is here once: the key says so.
CREATE TABLE due_payment (
    agreement   TEXT NOT NULL REFERENCES agreement (id),
    number      INTEGER NOT NULL,
    day         TEXT NOT NULL,
    minor       INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'paid', 'failed', 'skipped')),
    -- Of the try that is under way.
    attempt     TEXT UNIQUE,
    tries       INTEGER NOT NULL DEFAULT 0,
    ready_at    INTEGER NOT NULL,
    lease_until INTEGER NOT NULL DEFAULT 0,
    -- Who holds the lease knows this number; a later lease has a larger one.
    fence       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (agreement, number)
) STRICT;
CREATE INDEX due_payment_ready ON due_payment (ready_at) WHERE state IN ('waiting', 'sent');

CREATE TABLE due_attempt (
    id        TEXT PRIMARY KEY,
    agreement TEXT NOT NULL,
    number    INTEGER NOT NULL,
    try       INTEGER NOT NULL,
    sent_at   INTEGER NOT NULL,
    outcome   TEXT,
    UNIQUE (agreement, number, try),
    FOREIGN KEY (agreement, number) REFERENCES due_payment (agreement, number)
) STRICT;
