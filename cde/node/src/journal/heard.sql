-- Events of gateways that have brought something up. They come again, for weeks.
CREATE TABLE heard (
    gateway TEXT NOT NULL,
    event TEXT NOT NULL,
    at_unix_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX heard_by_age ON heard (at_unix_ms);
