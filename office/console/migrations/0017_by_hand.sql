-- Kept cards that a gateway does not delete, and that people have deleted there by hand.

-- Since when whoever had the card, or two people, say that it is gone. Until then gone_at alone says that it is charged no more.
ALTER TABLE kept_card ADD COLUMN forgotten_at INTEGER;
UPDATE kept_card SET forgotten_at = said.at
  FROM (SELECT object, max(at) AS at FROM audit WHERE what = 'card_forgotten' GROUP BY object) AS said
 WHERE said.object = kept_card.token;

CREATE TABLE deletion_by_hand (
    token        TEXT PRIMARY KEY,
    -- Users; the card side's record names them too, also to an office that was restored from an older copy.
    said_by      INTEGER NOT NULL,
    -- In their words: where they have deleted it. Null where only the record is known.
    reason       TEXT,
    said_at      INTEGER NOT NULL,
    -- Null until the card side has written down what both say.
    confirmed_by INTEGER,
    confirmed_at INTEGER
) STRICT;
CREATE INDEX deletion_to_be_confirmed ON deletion_by_hand (token) WHERE confirmed_at IS NULL;
