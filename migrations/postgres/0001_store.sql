-- Versions, search rows, shares, settings, audit. What they are for: the module docs of src/store.

CREATE TABLE version (
    pk        BIGINT PRIMARY KEY,  -- commit time, µs UTC, unique: meta.lastUpdated and commit sequence
    self_key  BIGINT   NOT NULL,   -- hash of type and id
    rtype     SMALLINT NOT NULL,   -- position of the type in RESOURCE_TYPES
    id        TEXT COLLATE "C" NOT NULL, -- logical id
    version   BIGINT   NOT NULL,   -- meta.versionId
    method    SMALLINT NOT NULL,   -- 0 POST, 1 PUT, 2 PATCH, 3 DELETE
    org       BIGINT   NOT NULL,   -- owner; 0 = directory
    ended     BIGINT   NOT NULL,   -- pk of the version that replaced it; 9223372036854775807 while current
    xid       xid8     NOT NULL DEFAULT pg_current_xact_id(), -- the transaction that wrote it
    ended_xid xid8,                -- the transaction that replaced it
    facts     TEXT     NOT NULL,   -- JSON: parameters that have a value
    body      BYTEA    NOT NULL    -- JSON as it goes out; empty for DELETE
);
CREATE UNIQUE INDEX version_self ON version (self_key, version);
CREATE INDEX version_type ON version (rtype, pk);

-- lz4 is a build option of PostgreSQL; without it bodies stay with pglz.
DO $$ BEGIN
    ALTER TABLE version ALTER body SET COMPRESSION lz4;
EXCEPTION WHEN OTHERS THEN
    NULL;
END $$;

CREATE TABLE idx (
    key BIGINT NOT NULL,
    pk  BIGINT NOT NULL,
    PRIMARY KEY (key, pk)
);

CREATE TABLE idx_range (
    key BIGINT NOT NULL,
    pk  BIGINT NOT NULL,
    lo  BIGINT NOT NULL,
    hi  BIGINT NOT NULL,
    PRIMARY KEY (key, pk, lo, hi)
);
CREATE INDEX idx_range_lo ON idx_range (key, lo, hi, pk);

CREATE TABLE idx_text (
    key  BIGINT NOT NULL,
    pk   BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key, pk, text)
);
CREATE INDEX idx_text_text ON idx_text (key, text, pk);

CREATE TABLE share (
    org     BIGINT   NOT NULL, -- who may see it; 0 = template of an open handoff
    rtype   SMALLINT NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    handoff TEXT COLLATE "C" NOT NULL,
    until   BIGINT   NOT NULL, -- µs UTC
    PRIMARY KEY (org, rtype, id, handoff)
);
CREATE INDEX share_handoff ON share (handoff);

CREATE TABLE setting (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE audit (
    pk         BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL, -- the request's clock, µs UTC
    org        BIGINT NOT NULL,
    client     TEXT   NOT NULL,
    usr        TEXT   NOT NULL,
    request_id TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    outcome    BIGINT NOT NULL, -- HTTP status
    first_pk   BIGINT NOT NULL, -- versions made: first_pk <= pk <= last_pk; 0 and 0 for none
    last_pk    BIGINT NOT NULL
);

-- The last stamp given out. A sequence, because it must not wait for transactions nor go back with them.
CREATE SEQUENCE stamp;

-- Reserves `n` stamps and takes the transaction's id, both under one lock: so the order of transaction ids is the order of
-- stamps, and what is below pg_snapshot_xmin is complete. The lock lasts for these lines only, not for the transaction.
CREATE FUNCTION take_stamps(n BIGINT) RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    first BIGINT;
BEGIN
    PERFORM pg_advisory_lock(-7310577382525465202);
    PERFORM pg_current_xact_id();
    SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT, last_value + 1) INTO first FROM stamp;
    PERFORM setval('stamp', first + n - 1);
    PERFORM pg_advisory_unlock(-7310577382525465202);
    RETURN first;
END $$;
