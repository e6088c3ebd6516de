-- Whom events are told to, what is not to be told for a while, what is still to be told, and what was told how.

CREATE TABLE IF NOT EXISTS channels (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name            TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL CHECK (kind IN ('apprise', 'webhook')),
    target          TEXT NOT NULL,  -- the address without its secrets, to be shown
    sealed          BYTEA NOT NULL, -- the address, and what a webhook is signed with, encrypted
    routes          JSONB NOT NULL, -- a list of matches; what any of them matches is told
    send_resolved   BOOLEAN NOT NULL DEFAULT true,
    group_interval  INTERVAL NOT NULL CHECK (group_interval >= INTERVAL '0'), -- least time between two messages about a host
    repeat_interval INTERVAL CHECK (repeat_interval > INTERVAL '0'),          -- null: what fires on is not told again
    enabled         BOOLEAN NOT NULL DEFAULT true,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by      UUID REFERENCES users ON DELETE SET NULL,
    changed_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS channels_created_by_idx ON channels (created_by);

CREATE TABLE IF NOT EXISTS silences (
    id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    match      JSONB NOT NULL,
    reason     TEXT NOT NULL,
    starts_at  TIMESTAMPTZ NOT NULL,
    ends_at    TIMESTAMPTZ NOT NULL CHECK (ends_at > starts_at),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by UUID REFERENCES users ON DELETE SET NULL,
    ended_by   UUID REFERENCES users ON DELETE SET NULL -- who ended it before its time
);
CREATE INDEX IF NOT EXISTS silences_ends_at_idx ON silences (ends_at);
CREATE INDEX IF NOT EXISTS silences_created_by_idx ON silences (created_by);
CREATE INDEX IF NOT EXISTS silences_ended_by_idx ON silences (ended_by);

-- What is on, or has ended and is not told to everybody yet. No references, as with events.
CREATE TABLE IF NOT EXISTS notices (
    id       UUID PRIMARY KEY, -- the event's
    host_id  TEXT NOT NULL,
    fired_at TIMESTAMPTZ NOT NULL,
    found_at TIMESTAMPTZ NOT NULL,
    event    JSONB NOT NULL,   -- as it is published
    ended    BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS notices_host_id_idx ON notices (host_id);

CREATE TABLE IF NOT EXISTS notices_told (
    notice_id  UUID NOT NULL REFERENCES notices ON DELETE CASCADE,
    channel_id UUID NOT NULL,        -- no reference: whoever tells would wait for whoever deletes a channel, and he for him
    told_at    TIMESTAMPTZ NOT NULL, -- the last time
    ended      BOOLEAN NOT NULL,     -- it was told that it has ended
    PRIMARY KEY (notice_id, channel_id)
);

-- Hosts that have notices, and when it is to be decided again what is told of them.
CREATE TABLE IF NOT EXISTS notice_hosts (
    host_id TEXT PRIMARY KEY,
    look_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS notice_hosts_look_at_idx ON notice_hosts (look_at);

-- Messages: one for a channel and a host, with all that is to be told then. They outlive their channel.
CREATE TABLE IF NOT EXISTS notifications (
    id              UUID PRIMARY KEY, -- receivers know a repetition by it
    number          BIGINT GENERATED ALWAYS AS IDENTITY, -- about a host, in the order in which they were decided
    channel_id      UUID NOT NULL,
    channel         TEXT NOT NULL,    -- its name
    host_id         TEXT,             -- null: a test
    message         JSONB NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    state           TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL, -- while one is under way: when it counts as lost
    requested_by    UUID REFERENCES users ON DELETE SET NULL, -- who asked for the test, or for it to be sent again
    resent_of       UUID
);
CREATE INDEX IF NOT EXISTS notifications_waiting_idx ON notifications (channel_id, host_id, number)
    WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS notifications_channel_id_host_id_created_at_idx
    ON notifications (channel_id, host_id, created_at);
CREATE INDEX IF NOT EXISTS notifications_created_at_idx ON notifications (created_at);
CREATE INDEX IF NOT EXISTS notifications_requested_by_idx ON notifications (requested_by);
CREATE INDEX IF NOT EXISTS notifications_events_idx ON notifications
    USING gin (jsonb_path_query_array(message, '$.items[*].event.id') jsonb_path_ops) WITH (fastupdate = off);

-- The ledger: every attempt to send a message.
CREATE TABLE IF NOT EXISTS deliveries (
    id              UUID PRIMARY KEY,
    notification_id UUID NOT NULL REFERENCES notifications ON DELETE CASCADE,
    channel_id      UUID NOT NULL,    -- the message's, as host_id: attempts are listed by either
    host_id         TEXT,
    attempt         INTEGER NOT NULL, -- 1 for the first
    started_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ,      -- null: under way, or its process died
    outcome         TEXT CHECK (outcome IN ('delivered', 'failed', 'given_up')),
    detail          TEXT,             -- why it failed
    UNIQUE (notification_id, attempt),
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX IF NOT EXISTS deliveries_started_at_idx ON deliveries (started_at, id);
CREATE INDEX IF NOT EXISTS deliveries_channel_id_started_at_idx ON deliveries (channel_id, started_at, id);
CREATE INDEX IF NOT EXISTS deliveries_host_id_started_at_idx ON deliveries (host_id, started_at, id);
CREATE INDEX IF NOT EXISTS deliveries_channel_id_outcome_started_at_idx ON deliveries (channel_id, outcome, started_at);
CREATE INDEX IF NOT EXISTS deliveries_undelivered_idx ON deliveries (started_at, id)
    WHERE outcome IS NULL OR outcome <> 'delivered';

-- A channel or a silence that changes can mean that something is to be told now.
CREATE OR REPLACE FUNCTION tell_notifier() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME <> 'notifications' THEN
        UPDATE public.notice_hosts AS h SET look_at = '-infinity'
        FROM (SELECT host_id FROM public.notice_hosts WHERE look_at > '-infinity' ORDER BY host_id FOR UPDATE) AS later
        WHERE h.host_id = later.host_id;
    END IF;
    PERFORM pg_notify('infrawatch_notices', TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER channels_told AFTER INSERT OR UPDATE OR DELETE ON channels
    FOR EACH STATEMENT EXECUTE FUNCTION tell_notifier();
CREATE OR REPLACE TRIGGER silences_told AFTER INSERT OR UPDATE OR DELETE ON silences
    FOR EACH STATEMENT EXECUTE FUNCTION tell_notifier();
CREATE OR REPLACE TRIGGER notifications_told AFTER INSERT ON notifications
    FOR EACH STATEMENT EXECUTE FUNCTION tell_notifier();

REVOKE ALL ON FUNCTION tell_notifier FROM PUBLIC;
GRANT SELECT ON channels, silences TO infrawatch_alerting;
GRANT SELECT, INSERT, UPDATE, DELETE ON notices, notices_told, notice_hosts, notifications, deliveries TO infrawatch_alerting;
GRANT SELECT, INSERT, UPDATE, DELETE ON channels, silences TO infrawatch_api;
GRANT SELECT, INSERT ON notifications TO infrawatch_api;
GRANT SELECT ON deliveries, notices TO infrawatch_api;
