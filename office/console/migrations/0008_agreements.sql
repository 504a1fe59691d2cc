-- Agreements begin with a payment, and their customers are told.

-- What was agreed on with a payment that is being taken. It becomes an agreement when the card is kept, and never otherwise.
CREATE TABLE agreement_offer (
    payment   TEXT PRIMARY KEY REFERENCES payment (id) ON DELETE CASCADE,
    agreement TEXT NOT NULL UNIQUE,
    body      TEXT NOT NULL
) STRICT;

-- The payment that it began with.
ALTER TABLE agreement ADD COLUMN payment TEXT;
ALTER TABLE agreement ADD COLUMN extension TEXT NOT NULL DEFAULT '-';
ALTER TABLE agreement ADD COLUMN contact TEXT;
ALTER TABLE agreement ADD COLUMN made_by TEXT;
-- Days before a payment on which the customer is reminded; 0: never.
ALTER TABLE agreement ADD COLUMN remind_days INTEGER NOT NULL DEFAULT 0;
-- When reminders are looked at next; null: there are none to come.
ALTER TABLE agreement ADD COLUMN remind_at INTEGER;
CREATE UNIQUE INDEX agreement_by_payment ON agreement (payment) WHERE payment IS NOT NULL;
CREATE INDEX agreement_by_token ON agreement (token);
CREATE INDEX agreement_to_remind ON agreement (remind_at) WHERE remind_at IS NOT NULL;

-- The payment that all tries of it are attempts of: at the card side only one of them can take money.
ALTER TABLE due_payment ADD COLUMN payment TEXT;
-- Why it is not taken, in a stable word.
ALTER TABLE due_payment ADD COLUMN trouble TEXT;
CREATE UNIQUE INDEX due_payment_by_payment ON due_payment (payment) WHERE payment IS NOT NULL;

-- What customers are to be told. A row is written in the transaction of its cause, once: the key says so.
CREATE TABLE message (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL UNIQUE,
    agreement  TEXT NOT NULL REFERENCES agreement (id),
    kind       TEXT NOT NULL,
    contact    TEXT,
    account    TEXT,
    subject    TEXT NOT NULL,
    text       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- When whoever sends it has taken it.
    taken_at   INTEGER
) STRICT;
CREATE INDEX message_waiting ON message (id) WHERE taken_at IS NULL;

-- The audit trail of one agreement.
CREATE INDEX audit_by_object ON audit (object);
