-- Bundles that are carried out in the background (Prefer: respond-async). See src/store/job.rs.

CREATE TABLE job (
    id      TEXT COLLATE "C" PRIMARY KEY,
    owner   BIGINT  NOT NULL, -- hash of who started it
    kind    TEXT    NOT NULL, -- 'transaction', 'batch'
    ctx     TEXT    NOT NULL, -- JSON: the caller, as whom it is carried out
    request TEXT    NOT NULL, -- the Bundle as sent; '' when it is over
    state   BIGINT  NOT NULL, -- 0 waiting, 1 running, 2 committed, 3 over
    holder  TEXT    NOT NULL, -- a process
    until   BIGINT  NOT NULL, -- µs UTC: then another may take it
    made    BIGINT  NOT NULL, -- µs UTC
    ended   BIGINT  NOT NULL, -- µs UTC; 0 before
    done    BIGINT  NOT NULL, -- entries written
    total   BIGINT  NOT NULL, -- entries
    status  BIGINT  NOT NULL, -- HTTP status of the answer; 0 before
    answer  TEXT    NOT NULL  -- JSON
);
CREATE INDEX job_state ON job (state, made);
