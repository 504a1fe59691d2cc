-- Cards that are kept, by the gateway or by the vault: a token, and what may be shown.

CREATE TABLE kept_card (
    token    TEXT PRIMARY KEY,
    merchant TEXT NOT NULL,
    -- The payment and the attempt by which it was kept.
    payment  TEXT NOT NULL,
    attempt  TEXT NOT NULL,
    card     TEXT NOT NULL,
    keeper   TEXT NOT NULL CHECK (keeper IN ('gateway', 'vault', 'both')),
    -- An older token of the same card, as far as the vault knows.
    same_as  TEXT,
    kept_at  INTEGER NOT NULL,
    -- Since when it cannot be charged any more.
    gone_at  INTEGER
) STRICT;
CREATE INDEX kept_card_of_payment ON kept_card (payment);

-- What became of the card that was to be kept; null where none was to be, or nothing is known yet.
ALTER TABLE payment ADD COLUMN kept TEXT CHECK (kept IN ('kept', 'not_kept'));
-- What the network advised with a decline.
ALTER TABLE attempt ADD COLUMN advice TEXT;
