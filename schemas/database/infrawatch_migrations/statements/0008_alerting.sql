-- What rules do: their versions, their states, what fired, how far alerting has come, and what is to be published.

ALTER TABLE alerts ADD COLUMN IF NOT EXISTS changed_at TIMESTAMPTZ NOT NULL DEFAULT now(); -- it judges samples from then on

-- Every version of every rule, as it was; rules that are deleted stay here.
CREATE TABLE IF NOT EXISTS alert_versions (
    alert_id   UUID NOT NULL,
    version    INTEGER NOT NULL,
    rule       JSONB NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    changed_by UUID REFERENCES users ON DELETE SET NULL,
    PRIMARY KEY (alert_id, version)
);

-- One row for each time that a rule fired for a host. No references: what happened outlives its rule and its host.
CREATE TABLE IF NOT EXISTS alert_events (
    id              UUID PRIMARY KEY, -- made of rule, host and fired_at: the same whoever finds it
    alert_id        UUID NOT NULL,
    version         INTEGER NOT NULL,
    host_id         TEXT NOT NULL,
    name            TEXT NOT NULL,    -- of the rule in this version, as what follows
    metric          TEXT NOT NULL,
    comparison      TEXT NOT NULL,
    threshold       DOUBLE PRECISION,
    severity        TEXT NOT NULL,
    since           TIMESTAMPTZ NOT NULL, -- from when on the condition was true
    fired_at        TIMESTAMPTZ NOT NULL, -- by the samples' own time
    value           DOUBLE PRECISION,     -- null for heartbeat
    found_at        TIMESTAMPTZ NOT NULL, -- by our clock
    late            BOOLEAN NOT NULL,
    resolved_at     TIMESTAMPTZ,
    resolved_value  DOUBLE PRECISION,
    resolved_reason TEXT CHECK (resolved_reason IN ('cleared', 'heard', 'rule_changed', 'rule_disabled', 'rule_deleted',
                                                    'host_retired', 'host_deleted', 'host_not_selected')),
    UNIQUE (alert_id, fired_at, host_id), -- in the order that a rule's events are listed in
    CHECK ((resolved_at IS NULL) = (resolved_reason IS NULL))
);
CREATE INDEX IF NOT EXISTS alert_events_fired_at_idx ON alert_events (fired_at, id);
CREATE INDEX IF NOT EXISTS alert_events_host_id_fired_at_idx ON alert_events (host_id, fired_at);
CREATE INDEX IF NOT EXISTS alert_events_firing_idx ON alert_events (alert_id, host_id) WHERE resolved_at IS NULL;

-- States that are not ok. No references: alerting closes what has lost its rule or its host, and says why.
CREATE TABLE IF NOT EXISTS alert_states (
    alert_id UUID NOT NULL,
    host_id  TEXT NOT NULL,
    version  INTEGER NOT NULL,
    since    TIMESTAMPTZ NOT NULL,
    fired_at TIMESTAMPTZ, -- null: pending
    PRIMARY KEY (alert_id, host_id)
);

-- What alerting remembers of a host's samples.
CREATE TABLE IF NOT EXISTS alert_hosts (
    host_id   TEXT PRIMARY KEY,
    last_at   TIMESTAMPTZ NOT NULL,  -- by the host's clock
    heard_at  TIMESTAMPTZ NOT NULL,  -- when the broker got that sample
    distances INTERVAL[] NOT NULL -- of its latest samples from the ones before
) WITH (fillfactor = 50);

-- How far a service has come that keeps its position with its results; a writer names the position it began from.
CREATE TABLE IF NOT EXISTS consumer_offsets (
    service     TEXT NOT NULL,
    topic       TEXT NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (service, topic, partition)
) WITH (fillfactor = 50);

-- What is to be published, in this order; a row goes once the broker has it.
CREATE TABLE IF NOT EXISTS outbox (
    id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic TEXT NOT NULL,
    key   TEXT NOT NULL,
    value JSONB NOT NULL
);

-- Rules and hosts that change are told to whoever listens, once a transaction.
CREATE OR REPLACE FUNCTION tell_alerting() RETURNS TRIGGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('infrawatch_rules', TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER alerts_told AFTER INSERT OR DELETE OR UPDATE OF version ON alerts
    FOR EACH STATEMENT EXECUTE FUNCTION tell_alerting();
CREATE OR REPLACE TRIGGER hosts_told AFTER DELETE OR UPDATE OF tags, retired ON hosts
    FOR EACH STATEMENT EXECUTE FUNCTION tell_alerting();

REVOKE ALL ON FUNCTION tell_alerting FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_states, alert_hosts TO infrawatch_alerting;
GRANT SELECT, INSERT, UPDATE ON alert_events, consumer_offsets TO infrawatch_alerting;
GRANT SELECT, INSERT, DELETE ON outbox TO infrawatch_alerting;
GRANT SELECT ON alert_states TO infrawatch_api;
GRANT SELECT, DELETE ON alert_events TO infrawatch_api;
GRANT SELECT, INSERT ON alert_versions TO infrawatch_api;
