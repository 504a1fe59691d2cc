-- A line of a report is named within its source: a gateway's account, or a bank's. What two reports say of one name is kept
-- twice if it differs. Which report holds which line is written down, so that a report that is taken back leaves nothing.

CREATE TABLE report_2 (
    id        TEXT PRIMARY KEY,
    merchant  TEXT NOT NULL,
    source    TEXT NOT NULL,
    format    TEXT NOT NULL,
    name      TEXT NOT NULL,
    sha256    BLOB NOT NULL,
    lines     INTEGER NOT NULL,
    -- Of them, those that are written down by now.
    stored    INTEGER NOT NULL,
    -- Of them, those that no report before it had.
    fresh     INTEGER NOT NULL,
    -- Of them, those that a report before it tells otherwise.
    conflicts INTEGER NOT NULL,
    skipped   INTEGER NOT NULL,
    first_at  INTEGER,
    last_at   INTEGER,
    who       TEXT NOT NULL,
    at        INTEGER NOT NULL,
    -- coming, here or leaving. Nothing of a report is seen unless it is here.
    state     TEXT NOT NULL,
    -- False of a report of before this step that shares lines with an earlier one: which ones, nobody has written down.
    whole     INTEGER NOT NULL,
    UNIQUE (merchant, source, format, sha256)
) STRICT;
INSERT INTO report_2
SELECT id, merchant, format, format, name, sha256, lines, lines, fresh, 0, skipped, first_at, last_at, who, at, 'here', fresh = lines
FROM report;

CREATE TABLE report_line_2 (
    id           INTEGER PRIMARY KEY,
    merchant     TEXT NOT NULL,
    source       TEXT NOT NULL,
    key          TEXT NOT NULL,
    -- What it says of the money, as `Line::story` writes it.
    story        TEXT NOT NULL,
    kind         TEXT NOT NULL,
    minor        INTEGER NOT NULL,
    currency     TEXT NOT NULL,
    fee_minor    INTEGER,
    fee_currency TEXT,
    at           INTEGER NOT NULL,
    UNIQUE (merchant, source, key, story)
) STRICT;
INSERT INTO report_line_2
SELECT id, merchant, format, key,
       kind || '|' || minor || '|' || currency || '|' || coalesce(fee_minor, '') || '|' || coalesce(fee_currency, '') || '|' || (at / 60000)
         || CASE format WHEN 'columns' THEN '|' || coalesce(
              (SELECT group_concat(name, ' ') FROM (SELECT name FROM report_name WHERE line = l.id ORDER BY place)), '') ELSE '' END,
       kind, minor, currency, fee_minor, fee_currency, at
FROM report_line l;

CREATE TABLE report_holds (
    report TEXT NOT NULL REFERENCES report_2 (id),
    line   INTEGER NOT NULL REFERENCES report_line_2 (id),
    -- How often it stands there.
    copies INTEGER NOT NULL,
    PRIMARY KEY (report, line)
) STRICT, WITHOUT ROWID;
INSERT INTO report_holds SELECT report, id, copies FROM report_line;
CREATE INDEX report_holds_by_line ON report_holds (line);

CREATE TABLE report_name_2 (
    line  INTEGER NOT NULL REFERENCES report_line_2 (id),
    -- Attempts of ours, then the gateway's names.
    place INTEGER NOT NULL,
    name  TEXT NOT NULL,
    PRIMARY KEY (line, name)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO report_name_2 SELECT line, place, name FROM report_name ORDER BY line, place;

DROP TABLE report_name;
DROP TABLE report_line;
DROP TABLE report;
-- What refers to them is renamed with them.
ALTER TABLE report_2 RENAME TO report;
ALTER TABLE report_line_2 RENAME TO report_line;
ALTER TABLE report_name_2 RENAME TO report_name;
CREATE INDEX report_line_by_time ON report_line (merchant, at);
CREATE INDEX report_name_by_name ON report_name (name);
