-- Broken glass: see src/store/glass.rs.

CREATE TABLE glass (
    id      TEXT   PRIMARY KEY,
    usr     TEXT   NOT NULL, -- login name
    role    TEXT   NOT NULL,
    org     TEXT   NOT NULL, -- logical id of the Organization
    patient TEXT   NOT NULL, -- logical id of the Patient
    reason  TEXT   NOT NULL, -- a code of profiles/policy/labels.json
    note    TEXT   NOT NULL, -- in their words
    begun   BIGINT NOT NULL, -- µs UTC
    until   BIGINT NOT NULL  -- µs UTC
);
CREATE INDEX glass_usr ON glass (usr, until);

ALTER TABLE glass ENABLE ROW LEVEL SECURITY;
