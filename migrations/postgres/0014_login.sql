-- Logins at OpenID providers: src/auth/provider.rs. Times are µs UTC.

-- Who somebody is here, by what a provider calls them: one of a provider for each user.
CREATE TABLE oauth_link (
    issuer TEXT    NOT NULL,
    sub    TEXT    NOT NULL,
    usr    TEXT    NOT NULL, -- login name
    made   BIGINT NOT NULL,
    PRIMARY KEY (issuer, sub)
);
CREATE UNIQUE INDEX oauth_link_usr ON oauth_link (usr, issuer);

-- A browser that was sent to a provider, until it comes back.
CREATE TABLE oauth_errand (
    hash     TEXT PRIMARY KEY, -- SHA-256 of the state that it carries
    session  TEXT    NOT NULL, -- hash
    provider TEXT    NOT NULL, -- its name in the settings
    pending  TEXT    NOT NULL, -- the app's request that goes on afterwards; '': our own pages
    usr      TEXT    NOT NULL, -- who it turned out to be, while a one-time code is missing; '' before
    at       BIGINT NOT NULL, -- when the user logged in there
    expires  BIGINT NOT NULL
);

-- No policy: nothing is there for anybody but the owner (0011).
ALTER TABLE oauth_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_errand ENABLE ROW LEVEL SECURITY;
