-- Of a bounced call: what the contact centre calls what is paid. The same merchant, reference and amount is not taken twice.
ALTER TABLE attempt ADD COLUMN reference TEXT;
CREATE INDEX attempt_by_reference ON attempt (merchant, reference) WHERE reference IS NOT NULL;
