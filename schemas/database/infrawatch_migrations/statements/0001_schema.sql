-- Tables that the whole product stands on. All times are TIMESTAMPTZ, in UTC.

CREATE EXTENSION IF NOT EXISTS timescaledb;

CREATE TABLE IF NOT EXISTS hosts (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    registered TIMESTAMPTZ NOT NULL DEFAULT now(),
    tags       JSONB NOT NULL DEFAULT '{}',
    last_seen  TIMESTAMPTZ,
    retired    TIMESTAMPTZ
) WITH (fillfactor = 50); -- room for last_seen to be updated in place
-- A btree would forbid such updates, which doubles their cost.
CREATE INDEX IF NOT EXISTS hosts_last_seen_idx ON hosts USING brin (last_seen);

CREATE TABLE IF NOT EXISTS metrics (
    id        UUID NOT NULL,
    host_id   TEXT NOT NULL REFERENCES hosts,
    timestamp TIMESTAMPTZ NOT NULL,
    cpu       DOUBLE PRECISION NOT NULL,
    memory    DOUBLE PRECISION NOT NULL,
    disk      DOUBLE PRECISION NOT NULL,
    uptime    INTEGER NOT NULL,
    -- The key of a hypertable must hold its time column; this one is the index by host and time as well.
    PRIMARY KEY (host_id, timestamp, id)
);
SELECT create_hypertable('metrics', by_range('timestamp', INTERVAL '1 day'),
                         create_default_indexes => FALSE, if_not_exists => TRUE);

CREATE TABLE IF NOT EXISTS snapshots (
    id           UUID PRIMARY KEY,
    host_id      TEXT NOT NULL REFERENCES hosts,
    timestamp    TIMESTAMPTZ NOT NULL,
    os_info      TEXT NOT NULL,
    kernel       TEXT NOT NULL,
    packages     JSONB NOT NULL,
    env_vars     JSONB NOT NULL,
    digest       BYTEA NOT NULL,      -- SHA-256 of the content, which tells whether anything changed
    confirmed_at TIMESTAMPTZ NOT NULL -- when the same content was last reported
);
CREATE INDEX IF NOT EXISTS snapshots_host_id_timestamp_idx ON snapshots (host_id, timestamp);

CREATE TABLE IF NOT EXISTS users (
    id             UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email          TEXT NOT NULL UNIQUE,
    password       TEXT NOT NULL, -- argon2id hash, or bcrypt until its owner logs in
    role           TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    disabled       BOOLEAN NOT NULL DEFAULT FALSE,
    one_time_until TIMESTAMPTZ -- the password works once, until then, and only to be changed
);
CREATE UNIQUE INDEX IF NOT EXISTS users_email_lower_idx ON users (lower(email));

CREATE TABLE IF NOT EXISTS alerts (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    host_id         TEXT REFERENCES hosts, -- null: every host that the selector matches
    metric          TEXT NOT NULL CHECK (metric IN ('cpu', 'memory', 'disk', 'uptime', 'heartbeat')),
    threshold       DOUBLE PRECISION,      -- null for heartbeat
    duration        INTERVAL NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_triggered  TIMESTAMPTZ,
    log             JSONB NOT NULL DEFAULT '[]', -- the latest events
    created_by      UUID REFERENCES users ON DELETE SET NULL,
    name            TEXT NOT NULL,
    comparison      TEXT NOT NULL DEFAULT '>=' CHECK (comparison IN ('>', '>=', '<', '<=')),
    clear_threshold DOUBLE PRECISION,
    severity        TEXT NOT NULL DEFAULT 'warning' CHECK (severity IN ('info', 'warning', 'critical')),
    selector        JSONB NOT NULL DEFAULT '{}',
    enabled         BOOLEAN NOT NULL DEFAULT TRUE,
    version         INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS alerts_host_id_metric_idx ON alerts (host_id, metric);
CREATE INDEX IF NOT EXISTS alerts_created_by_idx ON alerts (created_by);
