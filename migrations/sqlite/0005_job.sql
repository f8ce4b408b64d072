-- Bundles that are carried out in the background (Prefer: respond-async). See src/store/job.rs.

CREATE TABLE job (
    id      TEXT PRIMARY KEY,
    owner   INTEGER NOT NULL, -- hash of who started it
    kind    TEXT    NOT NULL, -- 'transaction', 'batch'
    ctx     TEXT    NOT NULL, -- JSON: the caller, as whom it is carried out
    request TEXT    NOT NULL, -- the Bundle as sent; '' when it is over
    state   INTEGER NOT NULL, -- 0 waiting, 1 running, 2 committed, 3 over
    holder  TEXT    NOT NULL, -- a process
    until   INTEGER NOT NULL, -- µs UTC: then another may take it
    made    INTEGER NOT NULL, -- µs UTC
    ended   INTEGER NOT NULL, -- µs UTC; 0 before
    done    INTEGER NOT NULL, -- entries written
    total   INTEGER NOT NULL, -- entries
    status  INTEGER NOT NULL, -- HTTP status of the answer; 0 before
    answer  TEXT    NOT NULL  -- JSON
) WITHOUT ROWID;
CREATE INDEX job_state ON job (state, made);
