-- What rows that sort alike are ordered by: read for each row of a list, without the version, many times as wide.

CREATE INDEX version_id ON version (pk) INCLUDE (id, rtype);
