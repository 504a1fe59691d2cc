-- A payment that could not be taken in its time is taken at most so late; what was not done is tried less and less often.

-- Since when it is to be taken: its day, or that of a further try after a decline.
ALTER TABLE due_payment ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
-- Nobody begins a try of it after this moment; null: of one that was there before this column.
ALTER TABLE due_payment ADD COLUMN late_at INTEGER;
-- How often it was proved, one time after the other, that nothing was done.
ALTER TABLE due_payment ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
UPDATE due_payment SET due_at = ready_at;
UPDATE due_payment SET late_at = ready_at + 604800000 WHERE state = 'waiting';
-- What people are to decide about: take it by hand, or leave it out.
CREATE INDEX due_payment_missed ON due_payment (due_at) WHERE state = 'failed' AND trouble IN ('late', 'not_done');

-- The last moment at which the schedulers found the clock plausible, and whether they have stopped since.
CREATE TABLE clock_seen (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    wall_ms INTEGER NOT NULL,
    -- Milliseconds since the machine was started, and which start that was.
    up_ms   INTEGER NOT NULL,
    boot    TEXT NOT NULL,
    -- Since when payments are held, and why; null: they are not.
    held_ms INTEGER,
    held    TEXT
) STRICT;
