-- What gateways report, each movement of money once; what was keyed into the customer's own system; and what people must
-- look at. No column has room for a card: a report that holds something like one is refused before it comes here.

CREATE TABLE report (
    id       TEXT PRIMARY KEY,
    merchant TEXT NOT NULL,
    format   TEXT NOT NULL,
    name     TEXT NOT NULL,
    sha256   BLOB NOT NULL,
    lines    INTEGER NOT NULL,
    -- Of them, those that no report before it had.
    fresh    INTEGER NOT NULL,
    skipped  INTEGER NOT NULL,
    first_at INTEGER,
    last_at  INTEGER,
    who      TEXT NOT NULL,
    at       INTEGER NOT NULL,
    UNIQUE (merchant, format, sha256)
) STRICT;

CREATE TABLE report_line (
    id           INTEGER PRIMARY KEY,
    merchant     TEXT NOT NULL,
    format       TEXT NOT NULL,
    key          TEXT NOT NULL,
    kind         TEXT NOT NULL,
    minor        INTEGER NOT NULL,
    currency     TEXT NOT NULL,
    fee_minor    INTEGER,
    fee_currency TEXT,
    at           INTEGER NOT NULL,
    copies       INTEGER NOT NULL,
    report       TEXT NOT NULL REFERENCES report (id),
    UNIQUE (merchant, format, key)
) STRICT;
CREATE INDEX report_line_by_time ON report_line (merchant, at);
CREATE INDEX report_line_by_report ON report_line (report);

-- Attempts of ours, then the gateway's names.
CREATE TABLE report_name (
    line  INTEGER NOT NULL REFERENCES report_line (id),
    place INTEGER NOT NULL,
    name  TEXT NOT NULL,
    PRIMARY KEY (line, place)
) STRICT;
CREATE INDEX report_name_by_name ON report_name (name);

CREATE INDEX attempt_by_time ON attempt (sent_at);
CREATE INDEX attempt_by_gateway_ref ON attempt (json_extract(outcome, '$.gateway_ref')) WHERE outcome IS NOT NULL;

-- Rows are only ever added: their sum is what stands in the customer's system.
CREATE TABLE keyed (
    id      INTEGER PRIMARY KEY,
    payment TEXT NOT NULL REFERENCES payment (id),
    minor   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX keyed_by_payment ON keyed (payment);
CREATE INDEX payment_by_merchant ON payment (merchant, id);

CREATE TABLE money_alarm (
    id      INTEGER PRIMARY KEY,
    payment TEXT NOT NULL,
    alarm   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    -- Who has looked at it, and what they found.
    seen_at INTEGER,
    seen_by TEXT,
    note    TEXT
) STRICT;
CREATE INDEX money_alarm_by_payment ON money_alarm (payment);
CREATE INDEX money_alarm_open ON money_alarm (payment) WHERE seen_at IS NULL;
