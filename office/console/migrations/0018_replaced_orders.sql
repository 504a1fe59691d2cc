-- Which order a newer one has taken the place of, as the card side says: of two that are made at once the office cannot tell which came
-- last.
ALTER TABLE bounced_order ADD COLUMN replaces TEXT;
CREATE INDEX bounced_order_by_replaced ON bounced_order (replaces) WHERE replaces IS NOT NULL;
