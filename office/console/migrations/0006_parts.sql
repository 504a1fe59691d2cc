-- A payment may be one part of what is due, be surcharged, or look like one that was taken a moment ago.

ALTER TABLE payment ADD COLUMN surcharge INTEGER NOT NULL DEFAULT 0;
-- Of the first part: what all parts together are to pay.
ALTER TABLE payment ADD COLUMN due INTEGER;
-- Of the others: the first part.
ALTER TABLE payment ADD COLUMN part_of TEXT;
ALTER TABLE payment ADD COLUMN duplicate_of TEXT;
CREATE INDEX payment_by_part ON payment (part_of) WHERE part_of IS NOT NULL;
CREATE INDEX payment_by_amount ON payment (minor, created_at);
