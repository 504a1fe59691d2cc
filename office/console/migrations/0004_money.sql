-- What follows an authorization (captures, voids, refunds) is an attempt too, and each user has rights of their own.

ALTER TABLE attempt ADD COLUMN kind TEXT NOT NULL DEFAULT 'authorize';
ALTER TABLE attempt ADD COLUMN minor INTEGER;

ALTER TABLE payment ADD COLUMN capture TEXT NOT NULL DEFAULT 'now' CHECK (capture IN ('now', 'later'));
-- Minor units, by the records.
ALTER TABLE payment ADD COLUMN approved INTEGER;
ALTER TABLE payment ADD COLUMN captured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payment ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0;
-- Somebody is to look at an approval whose address or security code do not match.
ALTER TABLE payment ADD COLUMN review TEXT CHECK (review IN ('wanted', 'accepted', 'rejected'));
-- Two people are to find out what became of its attempt.
ALTER TABLE payment ADD COLUMN needs_people INTEGER NOT NULL DEFAULT 0;
UPDATE payment SET approved = minor, captured = minor WHERE state = 'approved';

-- Words of `Right`, with commas between them.
ALTER TABLE user ADD COLUMN rights TEXT NOT NULL DEFAULT 'charge';

-- What the first of two people has found out of an attempt.
CREATE TABLE finding (
    attempt TEXT PRIMARY KEY,
    found   TEXT NOT NULL CHECK (found IN ('done', 'not_done')),
    user_id INTEGER NOT NULL REFERENCES user (id),
    at      INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_for_people ON payment (id) WHERE review = 'wanted' OR needs_people = 1;
