-- Of a card that people say they have deleted by hand: whose second word is on its way to the card side, and when it was last sent. Null
-- where none is: the card side has refused it, or nobody has said it.
ALTER TABLE deletion_by_hand ADD COLUMN second_by INTEGER;
ALTER TABLE deletion_by_hand ADD COLUMN sent_at INTEGER;
