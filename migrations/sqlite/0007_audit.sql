-- What an audit row knows beyond who and when, and its place in the chain. See src/store/audit.

ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT '{}'; -- JSON: src/store/audit.rs, Detail
ALTER TABLE audit ADD COLUMN seq INTEGER; -- 1, 2, 3 … in the order of sealing; NULL until sealed
ALTER TABLE audit ADD COLUMN told INTEGER NOT NULL DEFAULT 0; -- AuditEvents made of it: AuditEvent/a{pk}-{0 ..}
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''; -- SHA-256 in hex over the row, its AuditEvents and the hash before
CREATE INDEX audit_open ON audit (pk) WHERE seq IS NULL;
CREATE UNIQUE INDEX audit_seq ON audit (seq);
