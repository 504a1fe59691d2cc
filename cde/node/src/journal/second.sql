-- What follows an authorization: captures, voids and refunds are attempts of their own, which name it.
ALTER TABLE attempt ADD COLUMN kind TEXT NOT NULL DEFAULT 'authorize';
ALTER TABLE attempt ADD COLUMN follows TEXT;
-- Of an authorization: is its money taken by a later capture? Of a capture: does no other come?
ALTER TABLE attempt ADD COLUMN later INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN is_last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN extension TEXT NOT NULL DEFAULT '-';
-- What an approval said.
ALTER TABLE attempt ADD COLUMN approved_minor INTEGER;
ALTER TABLE attempt ADD COLUMN gateway_ref TEXT;
ALTER TABLE attempt ADD COLUMN network_transaction_id TEXT;
ALTER TABLE attempt ADD COLUMN token TEXT;
-- The gateway's own name for an attempt that is not known to be approved.
ALTER TABLE attempt ADD COLUMN locator TEXT;
-- Why an approval is to be given back, until it is: then `given_back` says so, and the payment may be taken again.
ALTER TABLE attempt ADD COLUMN reversal TEXT CHECK (reversal IN ('late', 'wrong_cvv', 'wrong_address'));
ALTER TABLE attempt ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0;
UPDATE attempt SET approved_minor = amount_minor WHERE state = 'approved';

DROP INDEX IF EXISTS attempt_one_that_may_have_taken_money;
CREATE UNIQUE INDEX attempt_one_that_may_have_taken_money ON attempt (payment)
    WHERE kind IN ('authorize', 'charge_stored') AND given_back = 0 AND state IN ('sent', 'unknown', 'approved');
CREATE INDEX attempt_by_payment ON attempt (payment);
CREATE INDEX attempt_by_followed ON attempt (follows) WHERE follows IS NOT NULL;
CREATE INDEX attempt_to_reverse ON attempt (sent_unix_ms) WHERE reversal IS NOT NULL AND given_back = 0;

-- The writer checks the same with words for people; these hold whatever it does.
CREATE TRIGGER attempt_captures_no_more_than_was_approved BEFORE INSERT ON attempt WHEN NEW.kind = 'capture'
BEGIN
    SELECT RAISE(ABORT, 'more would be captured than was approved') WHERE NEW.amount_minor
        + (SELECT COALESCE(SUM(amount_minor), 0) FROM attempt
           WHERE follows = NEW.follows AND kind = 'capture' AND state IN ('sent', 'unknown', 'approved'))
        > COALESCE((SELECT approved_minor FROM attempt
                    WHERE id = NEW.follows AND state = 'approved' AND later = 1 AND given_back = 0), -1);
END;
CREATE TRIGGER attempt_refunds_no_more_than_was_captured BEFORE INSERT ON attempt WHEN NEW.kind = 'refund'
BEGIN
    SELECT RAISE(ABORT, 'more would be refunded than was captured') WHERE NEW.amount_minor
        + (SELECT COALESCE(SUM(amount_minor), 0) FROM attempt
           WHERE follows = NEW.follows AND kind = 'refund' AND state IN ('sent', 'unknown', 'approved'))
        > COALESCE((SELECT CASE WHEN later = 0 THEN approved_minor ELSE
                        (SELECT COALESCE(SUM(c.amount_minor), 0) FROM attempt c
                         WHERE c.follows = NEW.follows AND c.kind = 'capture' AND c.state = 'approved') END
                    FROM attempt WHERE id = NEW.follows AND state = 'approved' AND given_back = 0), -1);
END;
CREATE TRIGGER attempt_is_what_it_was BEFORE UPDATE OF id, payment, kind, follows, amount_minor, currency ON attempt
BEGIN
    SELECT RAISE(ABORT, 'what an attempt is never changes');
END;
