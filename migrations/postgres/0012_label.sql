-- Security labels that need clearance, and who is cleared beyond their role. See src/access/label.rs, src/store/label.rs.

ALTER TABLE version ADD COLUMN labels BIGINT NOT NULL DEFAULT 0; -- bits of profiles/policy/labels.json; made before anything is served

CREATE TABLE clearance (
    name   TEXT PRIMARY KEY, -- 'user:NAME' or 'client:ID'
    labels TEXT NOT NULL     -- codes of labels, divided by spaces
);

-- Row-level security (0011): labels are hidden unless baton.cleared holds all of their bits.
CREATE FUNCTION baton_hidden() RETURNS BIGINT LANGUAGE sql STABLE
    AS $$ SELECT ~coalesce(nullif(current_setting('baton.cleared', true), '')::BIGINT, 0) $$;

DROP POLICY of_org ON version;
CREATE POLICY of_org ON version FOR SELECT USING (
    (labels & baton_hidden()) = 0
    AND (org = baton_org() OR (org = 0 AND baton_org() IS NOT NULL)
         OR EXISTS (SELECT 1 FROM share s WHERE s.org = baton_org() AND s.rtype = version.rtype AND s.id = version.id)));

ALTER TABLE clearance ENABLE ROW LEVEL SECURITY;
