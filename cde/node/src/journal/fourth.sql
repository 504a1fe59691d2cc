-- Of an attempt whose card is to be kept: the token that it will have, drawn before anything is sent, and what may be shown of
-- the card. After a death in between, the vault is asked for this token.
ALTER TABLE attempt ADD COLUMN keep_token TEXT;
ALTER TABLE attempt ADD COLUMN keep_card TEXT;
-- Of a charge of a kept card: its token.
ALTER TABLE attempt ADD COLUMN of_token TEXT;

-- Kept cards by the name that the office knows: who has them, and whose they are.
CREATE TABLE kept_card (
    token TEXT PRIMARY KEY,
    merchant TEXT NOT NULL,
    attempt TEXT NOT NULL,
    payment TEXT NOT NULL,
    call TEXT NOT NULL,
    extension TEXT NOT NULL,
    -- The gateway's own token, if it gave one.
    gateway TEXT,
    gateway_token TEXT,
    is_vaulted INTEGER NOT NULL,
    -- The network's id of the charge by which it was kept.
    network_transaction_id TEXT,
    is_gone INTEGER NOT NULL DEFAULT 0,
    CHECK ((gateway IS NULL) = (gateway_token IS NULL)),
    CHECK (is_vaulted = 1 OR gateway IS NOT NULL)
) STRICT;
