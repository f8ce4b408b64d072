-- Apps, logins, grants of users to apps. What they are for: src/store/oauth and docs/auth.md. Times are µs UTC; hashes are SHA-256 in hex.

ALTER TABLE oauth_client ADD COLUMN kind TEXT NOT NULL DEFAULT 'none';         -- public, symmetric, asymmetric; none: refused at every endpoint
ALTER TABLE oauth_client ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '';    -- divided by spaces, as are the next two
ALTER TABLE oauth_client ADD COLUMN launch_uris TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_client ADD COLUMN origins TEXT NOT NULL DEFAULT '';          -- of browsers that may call for it
ALTER TABLE oauth_client ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_client ADD COLUMN grants TEXT NOT NULL DEFAULT 'client_credentials';
ALTER TABLE oauth_client ADD COLUMN first_party INTEGER NOT NULL DEFAULT 0;    -- 1: no consent page
UPDATE oauth_client SET kind = 'symmetric' WHERE secret IS NOT NULL;
UPDATE oauth_client SET kind = 'asymmetric' WHERE jwks IS NOT NULL;

ALTER TABLE oauth_user ADD COLUMN password TEXT NOT NULL DEFAULT '';           -- PHC text of Argon2id; '': no login with a password
ALTER TABLE oauth_user ADD COLUMN patient TEXT NOT NULL DEFAULT '';            -- logical id of the Patient who logs in

ALTER TABLE oauth_key ADD COLUMN alg TEXT NOT NULL DEFAULT 'ES256';            -- RS256 signs id_tokens

-- A browser. usr '': nobody logged in yet. The id changes at login.
CREATE TABLE oauth_session (
    hash    TEXT PRIMARY KEY,
    usr     TEXT    NOT NULL,
    at      INTEGER NOT NULL, -- of the login
    used    INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_session_usr ON oauth_session (usr);

-- A request at /auth/authorize, until it is answered.
CREATE TABLE oauth_pending (
    id        TEXT PRIMARY KEY,
    session   TEXT    NOT NULL, -- hash
    request   TEXT    NOT NULL, -- JSON: what the app asked for, checked
    patient   TEXT    NOT NULL, -- chosen, or of the launch
    encounter TEXT    NOT NULL,
    expires   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX oauth_pending_session ON oauth_pending (session);

-- What a user allowed an app.
CREATE TABLE oauth_grant (
    id        TEXT PRIMARY KEY,
    client    TEXT    NOT NULL,
    usr       TEXT    NOT NULL, -- login name
    scope     TEXT    NOT NULL,
    patient   TEXT    NOT NULL,
    encounter TEXT    NOT NULL,
    context   TEXT    NOT NULL, -- JSON: what else the token response says (intent, fhirContext, need_patient_banner)
    session   TEXT    NOT NULL, -- hash of the login that an online_access hangs on; '' else
    made      INTEGER NOT NULL,
    used      INTEGER NOT NULL, -- last refresh
    expires   INTEGER NOT NULL, -- no token is given after it
    revoked   INTEGER NOT NULL, -- 0: holds
    cnf       TEXT    NOT NULL  -- for sender-constrained tokens, once there are any
) WITHOUT ROWID;
CREATE INDEX oauth_grant_usr ON oauth_grant (usr, client);

CREATE TABLE oauth_code (
    hash         TEXT PRIMARY KEY,
    grant_id     TEXT    NOT NULL,
    redirect_uri TEXT    NOT NULL,
    challenge    TEXT    NOT NULL,
    nonce        TEXT    NOT NULL,
    auth_time    INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    used         INTEGER NOT NULL  -- 0: not redeemed
) WITHOUT ROWID;

CREATE TABLE oauth_refresh (
    hash     TEXT PRIMARY KEY,
    grant_id TEXT    NOT NULL,
    expires  INTEGER NOT NULL,
    used     INTEGER NOT NULL  -- 0: the one that is good
) WITHOUT ROWID;
CREATE INDEX oauth_refresh_grant ON oauth_refresh (grant_id);

-- A handle that an EHR made for one launch of one app by one user.
CREATE TABLE oauth_launch (
    hash      TEXT PRIMARY KEY,
    client    TEXT    NOT NULL,
    usr       TEXT    NOT NULL,
    patient   TEXT    NOT NULL,
    encounter TEXT    NOT NULL,
    context   TEXT    NOT NULL, -- JSON as of oauth_grant
    expires   INTEGER NOT NULL,
    used      INTEGER NOT NULL
) WITHOUT ROWID;

-- Failed logins, by account and address: who must wait, and how long.
CREATE TABLE oauth_failure (
    name     TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    last     INTEGER NOT NULL
) WITHOUT ROWID;
