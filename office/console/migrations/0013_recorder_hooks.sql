-- Recorders elsewhere that were asked to pause, until they have been asked to resume and have said that they do.
CREATE TABLE recorder_hook (
    call      TEXT NOT NULL,
    recorder  TEXT NOT NULL,
    extension TEXT NOT NULL,
    -- By which the recorder may know the call, as JSON.
    names     TEXT NOT NULL,
    -- Which time of asking of the call it is.
    round     INTEGER NOT NULL,
    wants     TEXT NOT NULL CHECK (wants IN ('pause', 'resume')),
    state     TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed')),
    -- Of what is to be said now: its id, its place in the order, since when. A repetition says the same.
    event     TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    tries     INTEGER NOT NULL DEFAULT 0,
    ready_at  INTEGER NOT NULL,
    trouble   TEXT,
    -- May a pause have reached it?
    sent      INTEGER NOT NULL DEFAULT 0,
    -- Is the call over?
    ended     INTEGER NOT NULL DEFAULT 0,
    alarmed   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (call, recorder, extension)
) STRICT;
CREATE INDEX recorder_hook_due ON recorder_hook (ready_at) WHERE state = 'due';
