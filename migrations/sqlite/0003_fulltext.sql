-- The words of a version, for _text and _content: `rowid` is version.pk. The texts themselves are in the body.

CREATE VIRTUAL TABLE fulltext USING fts5(
    narrative, content,
    content = '', contentless_delete = 1, detail = column,
    tokenize = 'unicode61 remove_diacritics 0'
);
