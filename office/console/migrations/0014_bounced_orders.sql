-- What callers are to pay alone, as it was ordered ahead of the call. The code that names it on the call is stored nowhere.
CREATE TABLE bounced_order (
    -- The payment that it becomes when a call comes with the code.
    payment     TEXT PRIMARY KEY,
    user_id     INTEGER NOT NULL REFERENCES user (id),
    merchant    TEXT NOT NULL,
    minor       INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    reference   TEXT NOT NULL,
    back        TEXT,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    -- When a newer order of the same reference took its place.
    replaced_at INTEGER
) STRICT;
CREATE INDEX bounced_order_by_reference ON bounced_order (merchant, reference);
