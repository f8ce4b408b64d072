-- Clients, users, used assertions, signing keys. What they are for: src/store/oauth.rs.

CREATE TABLE oauth_client (
    id     TEXT PRIMARY KEY,
    name   TEXT    NOT NULL,
    secret TEXT,               -- SHA-256 in hex
    jwks   TEXT,               -- public keys, RFC 7517
    scopes TEXT    NOT NULL,   -- the most it can be granted
    org    TEXT,               -- logical id of the Organization
    role   TEXT    NOT NULL,
    active INTEGER NOT NULL    -- 1 or 0
) WITHOUT ROWID;

CREATE TABLE oauth_user (
    name              TEXT PRIMARY KEY, -- login name
    sub               TEXT    NOT NULL, -- what tokens say
    org               TEXT,
    role              TEXT    NOT NULL,
    practitioner      TEXT,             -- logical id
    practitioner_role TEXT,             -- logical id
    active            INTEGER NOT NULL  -- 1 or 0
) WITHOUT ROWID;
CREATE UNIQUE INDEX oauth_user_sub ON oauth_user (sub);

CREATE TABLE oauth_jti (
    client  TEXT    NOT NULL,
    jti     TEXT    NOT NULL,
    expires INTEGER NOT NULL, -- seconds since 1970
    PRIMARY KEY (client, jti)
) WITHOUT ROWID;
CREATE INDEX oauth_jti_expires ON oauth_jti (expires);

CREATE TABLE oauth_key (
    kid     TEXT PRIMARY KEY,
    pkcs8   TEXT    NOT NULL, -- private key, base64
    created INTEGER NOT NULL  -- µs UTC; the newest signs
) WITHOUT ROWID;

-- What `baton token` mints for. No secret and no keys: the token endpoint has no way to take it.
INSERT INTO oauth_client (id, name, scopes, role, active) VALUES ('baton-cli', 'baton token', 'user/*.cruds', 'admin', 1);
