-- A second wall for a role that only reads and owns nothing: reports, or a second reader. It sees rows of the organisation that it has
-- set, what is shared with that, and the directory; no secrets, and it changes nothing. The server is the owner of the tables, whose own
-- conditions are the first wall: it passes by these. See docs/operations.md.
--
-- The setting is baton.org: version.org of the organisation. Without it nothing is there.

CREATE FUNCTION baton_org() RETURNS BIGINT LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('baton.org', true), '')::BIGINT $$;

ALTER TABLE share ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_org ON share FOR SELECT
    USING (org = baton_org() AND until > (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT);

ALTER TABLE version ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_org ON version FOR SELECT USING (
    org = baton_org() OR (org = 0 AND baton_org() IS NOT NULL)
    OR EXISTS (SELECT 1 FROM share s WHERE s.org = baton_org() AND s.rtype = version.rtype AND s.id = version.id));

ALTER TABLE idx ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_version ON idx FOR SELECT USING (EXISTS (SELECT 1 FROM version v WHERE v.pk = idx.pk));
ALTER TABLE idx_range ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_version ON idx_range FOR SELECT USING (EXISTS (SELECT 1 FROM version v WHERE v.pk = idx_range.pk));
ALTER TABLE idx_text ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_version ON idx_text FOR SELECT USING (EXISTS (SELECT 1 FROM version v WHERE v.pk = idx_text.pk));
ALTER TABLE fulltext ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_version ON fulltext FOR SELECT USING (EXISTS (SELECT 1 FROM version v WHERE v.pk = fulltext.pk));

-- No policy: nothing is there for anybody but the owner.
ALTER TABLE setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE search_parameter ENABLE ROW LEVEL SECURITY;
ALTER TABLE lease ENABLE ROW LEVEL SECURITY;
ALTER TABLE job ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_client ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_user ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_jti ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_code ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_refresh ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_launch ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_failure ENABLE ROW LEVEL SECURITY;
