-- What was seen of hosts' configurations and when, how they differ, what people say of it, and what is never told.

-- Every single thing that snapshots say, once: a fleet repeats itself. Names and values can be longer than an index may
-- hold, so they are found by digests.
CREATE TABLE IF NOT EXISTS facts (
    id       INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key      BYTEA NOT NULL UNIQUE, -- of all that follows
    subject  BYTEA NOT NULL,        -- of all but the value
    category TEXT NOT NULL CHECK (category IN ('os', 'kernel', 'package', 'env')),
    source   TEXT NOT NULL,         -- of packages; empty for all others
    name     TEXT NOT NULL,
    value    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS facts_subject_idx ON facts (subject);
CREATE INDEX IF NOT EXISTS facts_name_idx ON facts USING hash (name);

-- The facts of a snapshot, in ascending order: the whole fleet is counted from them, not from JSON.
ALTER TABLE snapshots ADD COLUMN IF NOT EXISTS facts INTEGER[] NOT NULL DEFAULT '{}';
-- Lists and tables of thousands of names are written and read far more often than the disk is short of room.
DO $$
BEGIN
    ALTER TABLE snapshots ALTER packages SET COMPRESSION lz4, ALTER env_vars SET COMPRESSION lz4, ALTER facts SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL; -- a server that was built without lz4 uses its own
END
$$;

-- When a host was seen with which content. Row by row it says what `snapshots` says in runs, and it is what a late
-- snapshot needs, which splits a run. No references: rows go when they are old.
CREATE TABLE IF NOT EXISTS snapshot_sightings (
    id        UUID PRIMARY KEY, -- of the record
    host_id   TEXT NOT NULL,
    timestamp TIMESTAMPTZ NOT NULL,
    digest    BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS snapshot_sightings_host_id_timestamp_idx ON snapshot_sightings (host_id, timestamp);
CREATE INDEX IF NOT EXISTS snapshot_sightings_timestamp_idx ON snapshot_sightings USING brin (timestamp);

-- Hosts that have snapshots; whoever writes them has the host's row locked.
CREATE TABLE IF NOT EXISTS drift_hosts (
    host_id TEXT PRIMARY KEY
);

-- What people want to be spared: changes that match come to nobody's eyes.
CREATE TABLE IF NOT EXISTS drift_ignores (
    id         UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    category   TEXT CHECK (category IN ('os', 'kernel', 'source', 'package', 'env')), -- null: any
    sources    TEXT[] NOT NULL, -- globs; empty: any
    names      TEXT[] NOT NULL, -- globs; empty: any
    selector   JSONB NOT NULL,  -- tags of the host; empty: every host
    reason     TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_by UUID REFERENCES users ON DELETE SET NULL
);
CREATE INDEX IF NOT EXISTS drift_ignores_created_by_idx ON drift_ignores (created_by);

-- How each snapshot differs from the one before it.
CREATE TABLE IF NOT EXISTS drift_changes (
    id             UUID PRIMARY KEY, -- made of host, time and subject: the same whoever finds it
    host_id        TEXT NOT NULL,
    snapshot_id    UUID NOT NULL,        -- the one that shows it first
    not_before     TIMESTAMPTZ NOT NULL, -- when the state before it was last seen
    at             TIMESTAMPTZ NOT NULL, -- when it was first seen
    category       TEXT NOT NULL CHECK (category IN ('os', 'kernel', 'source', 'package', 'env')),
    source         TEXT NOT NULL,
    name           TEXT NOT NULL,
    subject        BYTEA NOT NULL,       -- of category, source and name
    action         TEXT NOT NULL CHECK (action IN ('added', 'removed', 'changed')),
    direction      TEXT CHECK (direction IN ('upgraded', 'downgraded')),
    before         JSONB NOT NULL,       -- a text, the packages of a source, or null
    after          JSONB NOT NULL,
    severity       TEXT NOT NULL CHECK (severity IN ('ignored', 'info', 'warning', 'critical')),
    reason         TEXT NOT NULL,        -- of the severity
    found_at       TIMESTAMPTZ NOT NULL, -- by our clock
    late           BOOLEAN NOT NULL,
    ignored_by     UUID REFERENCES drift_ignores ON DELETE SET NULL,
    hidden         BOOLEAN NOT NULL GENERATED ALWAYS AS (severity = 'ignored' OR ignored_by IS NOT NULL) STORED,
    verdict        TEXT NOT NULL DEFAULT 'open' CHECK (verdict IN ('open', 'accepted', 'rejected', 'expired')),
    verdict_reason TEXT,
    verdict_at     TIMESTAMPTZ,
    verdict_by     UUID REFERENCES users ON DELETE SET NULL,
    expires_at     TIMESTAMPTZ           -- of an acceptance; null: it stays
);
CREATE INDEX IF NOT EXISTS drift_changes_at_idx ON drift_changes (at, id);
CREATE INDEX IF NOT EXISTS drift_changes_host_id_at_idx ON drift_changes (host_id, at, id);
CREATE INDEX IF NOT EXISTS drift_changes_subject_at_idx ON drift_changes (subject, at);
CREATE INDEX IF NOT EXISTS drift_changes_host_id_subject_at_idx ON drift_changes (host_id, subject, at);
CREATE INDEX IF NOT EXISTS drift_changes_snapshot_id_idx ON drift_changes (snapshot_id);
CREATE INDEX IF NOT EXISTS drift_changes_ignored_by_idx ON drift_changes (ignored_by) WHERE ignored_by IS NOT NULL;
CREATE INDEX IF NOT EXISTS drift_changes_verdict_by_idx ON drift_changes (verdict_by) WHERE verdict_by IS NOT NULL;

-- Every verdict on a change; the latest is on the change too. No reference to the change: what was said outlives it.
CREATE TABLE IF NOT EXISTS drift_verdicts (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id  UUID NOT NULL,
    host_id    TEXT NOT NULL,
    verdict    TEXT NOT NULL CHECK (verdict IN ('open', 'accepted', 'rejected', 'expired')),
    reason     TEXT NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    by         UUID REFERENCES users ON DELETE SET NULL,
    expires_at TIMESTAMPTZ
);
CREATE INDEX IF NOT EXISTS drift_verdicts_change_id_idx ON drift_verdicts (change_id, id);
CREATE INDEX IF NOT EXISTS drift_verdicts_host_id_idx ON drift_verdicts (host_id);
CREATE INDEX IF NOT EXISTS drift_verdicts_by_idx ON drift_verdicts (by);

-- What a host may have although others have something else: while it has it, it does not deviate.
CREATE TABLE IF NOT EXISTS drift_baselines (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    host_id     TEXT NOT NULL,
    category    TEXT NOT NULL CHECK (category IN ('os', 'kernel', 'package', 'env')),
    source      TEXT NOT NULL,
    name        TEXT NOT NULL,
    subject     BYTEA NOT NULL,
    value       TEXT,            -- null: that it is not there
    change_id   UUID,            -- whose acceptance made it
    reason      TEXT NOT NULL,
    accepted_at TIMESTAMPTZ NOT NULL,
    accepted_by UUID REFERENCES users ON DELETE SET NULL,
    expires_at  TIMESTAMPTZ,
    ended_at    TIMESTAMPTZ,
    ended_by    UUID REFERENCES users ON DELETE SET NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS drift_baselines_in_force_idx ON drift_baselines (host_id, subject) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS drift_baselines_accepted_at_idx ON drift_baselines (accepted_at, id);
CREATE INDEX IF NOT EXISTS drift_baselines_change_id_idx ON drift_baselines (change_id);
CREATE INDEX IF NOT EXISTS drift_baselines_accepted_by_idx ON drift_baselines (accepted_by);
CREATE INDEX IF NOT EXISTS drift_baselines_ended_by_idx ON drift_baselines (ended_by);

-- Each service publishes what is its own: it may write no other topic.
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS service TEXT NOT NULL DEFAULT 'alerting';
ALTER TABLE outbox ALTER COLUMN service DROP DEFAULT;
CREATE INDEX IF NOT EXISTS outbox_service_id_idx ON outbox (service, id);

-- An alert event is on until it ends; drift has happened, and is told once.
ALTER TABLE notices ADD COLUMN IF NOT EXISTS kind TEXT NOT NULL DEFAULT 'alert' CHECK (kind IN ('alert', 'drift'));

GRANT SELECT, INSERT ON facts TO infrawatch_drift;
GRANT DELETE ON snapshots TO infrawatch_drift;
GRANT SELECT, INSERT, DELETE ON snapshot_sightings, outbox TO infrawatch_drift;
GRANT SELECT, INSERT, UPDATE, DELETE ON drift_hosts, drift_changes TO infrawatch_drift;
GRANT SELECT ON drift_ignores, drift_verdicts TO infrawatch_drift;
GRANT UPDATE (change_id) ON drift_verdicts TO infrawatch_drift; -- a change whose snapshot begins earlier has another id
GRANT SELECT, INSERT, UPDATE ON notices, notice_hosts TO infrawatch_drift;
GRANT SELECT ON facts, snapshot_sightings, drift_hosts TO infrawatch_api;
GRANT DELETE ON snapshot_sightings, drift_hosts TO infrawatch_api;
GRANT SELECT, DELETE ON drift_changes TO infrawatch_api;
GRANT UPDATE (ignored_by, verdict, verdict_reason, verdict_at, verdict_by, expires_at) ON drift_changes TO infrawatch_api;
GRANT SELECT, INSERT, DELETE ON drift_verdicts TO infrawatch_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON drift_baselines, drift_ignores TO infrawatch_api;
