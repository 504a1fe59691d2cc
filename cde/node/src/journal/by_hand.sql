-- The office's users who say that they have deleted a card by hand; null where its gateway has said so, or the vault. An office that
-- was restored is told it again as it was said.
ALTER TABLE kept_card ADD COLUMN said_by INTEGER;
ALTER TABLE kept_card ADD COLUMN confirmed_by INTEGER;
