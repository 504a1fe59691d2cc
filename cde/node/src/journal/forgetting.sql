-- A kept card that can be charged no more, and whose gateway has not said yet that its token is deleted.
ALTER TABLE kept_card ADD COLUMN forgetting INTEGER NOT NULL DEFAULT 0;
CREATE INDEX kept_card_being_forgotten ON kept_card (token) WHERE forgetting = 1 AND is_gone = 0;
CREATE INDEX attempt_that_deletes ON attempt (of_token) WHERE kind = 'delete_stored';
