-- Records that the office has acknowledged are kept for a while: an office that is restored from a backup misses them.
ALTER TABLE record ADD COLUMN at_unix_ms INTEGER NOT NULL DEFAULT 0;
-- Of an attempt: what may be shown of its card, and its outcome as the office was told. With them it can be told again when its
-- records are gone.
ALTER TABLE attempt ADD COLUMN card TEXT;
ALTER TABLE attempt ADD COLUMN told TEXT;
-- What an office that was restored has forgotten, until it is told; and after which attempt, by rowid, the attempts are still to be
-- told again.
ALTER TABLE journal ADD COLUMN restored TEXT;
ALTER TABLE journal ADD COLUMN tell_after INTEGER;
