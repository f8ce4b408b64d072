-- What a handoff shares with who claims it: a row a transaction, not a row a resource. See src/store/share.rs. Templates of before
-- are rows of share under a key below 0, and stay there.
CREATE TABLE template (
    handoff TEXT NOT NULL,
    part    INTEGER NOT NULL, -- hash of the row: what is said twice is kept once
    targets TEXT NOT NULL,  -- type and id of each, as in references, with spaces between
    PRIMARY KEY (handoff, part)
) WITHOUT ROWID;
