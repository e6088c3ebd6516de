-- Which sequence numbers of each run of an agent have come, and when: what tells gaps, clones and wrong clocks apart.

CREATE TABLE IF NOT EXISTS host_streams (
    host_id            TEXT NOT NULL REFERENCES hosts,
    instance           UUID NOT NULL,
    received           INT8MULTIRANGE NOT NULL,     -- united with what comes, so that a record that comes again changes nothing
    settled_missing    BIGINT NOT NULL DEFAULT 0,   -- missing numbers that are no longer told apart in received
    gaps               JSONB NOT NULL DEFAULT '[]', -- the latest: {first, last, after, before}, filled since or not
    first_at           TIMESTAMPTZ NOT NULL,        -- by the agent's clock
    last_at            TIMESTAMPTZ NOT NULL,
    newest_at          TIMESTAMPTZ NOT NULL,        -- of the record with the highest number
    newest_appended_at TIMESTAMPTZ NOT NULL,        -- by the broker's clock
    earlier_at         TIMESTAMPTZ NOT NULL,        -- of an earlier record, to see whether the delay stays the same
    earlier_appended_at TIMESTAMPTZ NOT NULL,
    first_appended_at  TIMESTAMPTZ NOT NULL,
    last_appended_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (host_id, instance)
) WITH (fillfactor = 50); -- room for every batch to update in place

-- What was refused of a host lately.
CREATE INDEX IF NOT EXISTS dead_letters_host_id_created_at_idx ON dead_letters (host_id, created_at)
    WHERE host_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON host_streams TO infrawatch_ingest;
GRANT SELECT, DELETE ON host_streams TO infrawatch_api;
