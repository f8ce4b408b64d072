-- Versions, search rows, shares, settings, audit. What they are for: the module docs of src/store.

CREATE TABLE version (
    pk       INTEGER PRIMARY KEY,  -- commit time, µs UTC, unique: meta.lastUpdated and commit sequence
    self_key INTEGER NOT NULL,     -- hash of type and id
    rtype    INTEGER NOT NULL,     -- position of the type in RESOURCE_TYPES
    id       TEXT    NOT NULL,     -- logical id
    version  INTEGER NOT NULL,     -- meta.versionId
    method   INTEGER NOT NULL,     -- 0 POST, 1 PUT, 2 PATCH, 3 DELETE
    org      INTEGER NOT NULL,     -- owner; 0 = directory
    ended    INTEGER NOT NULL,     -- pk of the version that replaced it; 9223372036854775807 while current
    facts    TEXT    NOT NULL,     -- JSON: parameters that have a value
    body     BLOB    NOT NULL      -- JSON as it goes out; empty for DELETE
);
CREATE UNIQUE INDEX version_self ON version (self_key, version);
CREATE INDEX version_type ON version (rtype); -- in order of pk, which SQLite appends

CREATE TABLE idx (
    key INTEGER NOT NULL,
    pk  INTEGER NOT NULL,
    PRIMARY KEY (key, pk)
) WITHOUT ROWID;

CREATE TABLE idx_range (
    key INTEGER NOT NULL,
    pk  INTEGER NOT NULL,
    lo  INTEGER NOT NULL,
    hi  INTEGER NOT NULL,
    PRIMARY KEY (key, pk, lo, hi)
) WITHOUT ROWID;
CREATE INDEX idx_range_lo ON idx_range (key, lo, hi, pk);

CREATE TABLE idx_text (
    key  INTEGER NOT NULL,
    pk   INTEGER NOT NULL,
    text TEXT    NOT NULL,
    PRIMARY KEY (key, pk, text)
) WITHOUT ROWID;
CREATE INDEX idx_text_text ON idx_text (key, text, pk);

CREATE TABLE share (
    org     INTEGER NOT NULL, -- who may see it; 0 = template of an open handoff
    rtype   INTEGER NOT NULL,
    id      TEXT    NOT NULL,
    handoff TEXT    NOT NULL,
    until   INTEGER NOT NULL, -- µs UTC
    PRIMARY KEY (org, rtype, id, handoff)
) WITHOUT ROWID;
CREATE INDEX share_handoff ON share (handoff);

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    pk         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL, -- the request's clock, µs UTC
    org        INTEGER NOT NULL,
    client     TEXT    NOT NULL,
    usr        TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    outcome    INTEGER NOT NULL, -- HTTP status
    first_pk   INTEGER NOT NULL, -- versions made: first_pk <= pk <= last_pk; 0 and 0 for none
    last_pk    INTEGER NOT NULL
);
