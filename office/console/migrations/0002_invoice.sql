-- The payee's own number of what is being paid, beside the customer's account number and the reference.

ALTER TABLE payment ADD COLUMN invoice TEXT;
