-- Security labels that need clearance, and who is cleared beyond their role. See src/access/label.rs, src/store/label.rs.

ALTER TABLE version ADD COLUMN labels BIGINT NOT NULL DEFAULT 0; -- bits of profiles/policy/labels.json; made before anything is served

CREATE TABLE clearance (
    name   TEXT PRIMARY KEY, -- 'user:NAME' or 'client:ID'
    labels TEXT NOT NULL     -- codes of labels, divided by spaces
);
