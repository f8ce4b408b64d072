-- One-time codes of an authenticator app: src/auth/totp.rs.

ALTER TABLE oauth_user ADD COLUMN totp TEXT NOT NULL DEFAULT '';       -- secret in base32; '': none is asked for
ALTER TABLE oauth_user ADD COLUMN totp_used INTEGER NOT NULL DEFAULT 0; -- the last thirty seconds whose code was used: a code is good once
