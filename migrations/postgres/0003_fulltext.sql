-- The words of a version, for _text and _content. Those of the narrative have weight A.

CREATE TABLE fulltext (
    pk    BIGINT PRIMARY KEY, -- version.pk
    words TSVECTOR NOT NULL
);
CREATE INDEX fulltext_words ON fulltext USING gin (words);

-- Versions that a query finds. An index of this kind is read by bitmap, which Baton's connections have off for all others.
CREATE FUNCTION fulltext_found(query TSQUERY) RETURNS SETOF BIGINT LANGUAGE sql STABLE
    SET enable_bitmapscan = on
    AS 'SELECT f.pk FROM fulltext f WHERE f.words @@ query';
