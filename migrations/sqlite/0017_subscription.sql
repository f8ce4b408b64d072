-- Subscriptions and how far each has been told: see src/store/subscription.rs.

CREATE TABLE subscription (
    id       TEXT PRIMARY KEY, -- logical id of the Subscription
    owner    BIGINT  NOT NULL, -- hash of client and organisation
    rtype    BIGINT  NOT NULL, -- type that its criteria search
    caller   TEXT    NOT NULL, -- JSON: as whom it searches
    status   TEXT    NOT NULL, -- as the Subscription has it
    headers  TEXT    NOT NULL, -- JSON: lines of channel.header with their values, which the Subscription shows masked
    seen     BIGINT  NOT NULL, -- version.pk up to which all that matches was sent
    events   BIGINT  NOT NULL, -- sent since it was asked for
    failures BIGINT  NOT NULL, -- tries that failed since the last one that did not
    since    BIGINT  NOT NULL, -- µs UTC: the first of them; 0
    due      BIGINT  NOT NULL, -- µs UTC: not tried before
    holder   TEXT    NOT NULL, -- a process that is sending
    until    BIGINT  NOT NULL, -- µs UTC: then another may
    error    TEXT    NOT NULL, -- what the last failure was; ''
    ends     BIGINT  NOT NULL  -- µs UTC: nothing is sent from then on; 0
);
CREATE INDEX subscription_owner ON subscription (owner);
CREATE INDEX subscription_due ON subscription (status, due);
