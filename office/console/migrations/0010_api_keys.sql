-- API keys are listed, used and revoked by name, and the audit trail says which one did something. A revoked key stays as a row:
-- what it has done stays explained, and nothing that shows it is ever let in again.

CREATE TABLE api_key_named (
    id         INTEGER PRIMARY KEY,
    key_hash   BLOB NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- To the minute.
    used_at    INTEGER,
    revoked_at INTEGER,
    revoked_by TEXT
) STRICT;
INSERT INTO api_key_named (key_hash, user_id, name, created_at)
    SELECT key_hash, user_id, name, created_at FROM api_key ORDER BY created_at;
DROP TABLE api_key;
ALTER TABLE api_key_named RENAME TO api_key;

-- The name of the API key that was shown; null where somebody was signed in, and of all that the system did.
ALTER TABLE audit ADD COLUMN api_key TEXT;
