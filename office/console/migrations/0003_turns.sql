-- Which keys are being served is known to the process alone, and ends with it. A row without `status` that nobody serves
-- is one whose answer is not known: whoever comes again does the same, with the same seed.

ALTER TABLE idempotency DROP COLUMN instance;
