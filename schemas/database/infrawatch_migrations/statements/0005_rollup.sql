-- Samples by the hour, what keeps them true, and the chunks of metrics: made before they are needed, dropped after.

-- No reference to hosts: each chunk would add triggers to hosts and lock it. Whoever writes here locks the host first,
-- and purging a host deletes its hours.
CREATE TABLE IF NOT EXISTS metrics_hourly (
    host_id    TEXT NOT NULL,
    hour       TIMESTAMPTZ NOT NULL,
    count      INTEGER NOT NULL,
    cpu_min    DOUBLE PRECISION NOT NULL,
    cpu_avg    DOUBLE PRECISION NOT NULL,
    cpu_max    DOUBLE PRECISION NOT NULL,
    memory_min DOUBLE PRECISION NOT NULL,
    memory_avg DOUBLE PRECISION NOT NULL,
    memory_max DOUBLE PRECISION NOT NULL,
    disk_min   DOUBLE PRECISION NOT NULL,
    disk_avg   DOUBLE PRECISION NOT NULL,
    disk_max   DOUBLE PRECISION NOT NULL,
    uptime     INTEGER NOT NULL, -- of the latest sample
    PRIMARY KEY (host_id, hour)
);
SELECT create_hypertable('metrics_hourly', by_range('hour', INTERVAL '30 days'),
                         create_default_indexes => FALSE, if_not_exists => TRUE);

-- Hours whose row in metrics_hourly is missing or may be out of date. An hour without an entry here is told truly there.
-- A mark outlives its host, since the writer that made it relies on it for a while: no reference to hosts.
CREATE TABLE IF NOT EXISTS rollup_pending (
    host_id   TEXT NOT NULL,
    hour      TIMESTAMPTZ NOT NULL,
    marked_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (host_id, hour)
) WITH (fillfactor = 70); -- room for marked_at to be updated in place
CREATE INDEX IF NOT EXISTS rollup_pending_hour_idx ON rollup_pending (hour);

-- How far a task has come: samples before "metrics dropped" are gone for good.
CREATE TABLE IF NOT EXISTS maintenance (
    task    TEXT PRIMARY KEY,
    reached TIMESTAMPTZ NOT NULL
);

-- What was stored before there was a rollup.
INSERT INTO rollup_pending (host_id, hour, marked_at)
SELECT host_id, date_trunc('hour', timestamp, 'UTC'), now() FROM metrics GROUP BY 1, 2
ON CONFLICT (host_id, hour) DO UPDATE SET marked_at = excluded.marked_at;

-- Makes the chunk of every day that has none, with a row that is deleted at once; how many were made. Writers that find
-- the chunk there never make one themselves, which is where they deadlock over hosts.
CREATE OR REPLACE FUNCTION create_metrics_chunks(days TIMESTAMPTZ[]) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET session_replication_role = replica
SET lock_timeout = '2s'
AS $$
DECLARE
    day  TIMESTAMPTZ;
    made INTEGER := 0;
BEGIN
    FOR day IN SELECT DISTINCT date_trunc('day', given, 'UTC') FROM unnest(days) AS given ORDER BY 1 LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM timescaledb_information.chunks
            WHERE hypertable_schema = 'public' AND hypertable_name = 'metrics' AND range_start <= day AND range_end > day);
        -- In the order of writers: hosts, then metrics.
        LOCK TABLE public.hosts IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO public.metrics (id, host_id, timestamp, cpu, memory, disk, uptime)
        VALUES ('00000000-0000-0000-0000-000000000000', '', day, 0, 0, 0, 0);
        DELETE FROM public.metrics WHERE host_id = '' AND timestamp = day;
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

-- Drops the oldest chunk when all in it is older than that and rolled up; the end of what it held, or null.
CREATE OR REPLACE FUNCTION drop_metrics_chunk(older_than INTERVAL) RETURNS TIMESTAMPTZ
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
DECLARE
    oldest RECORD;
BEGIN
    IF older_than < INTERVAL '1 day' THEN
        RAISE EXCEPTION 'samples are kept for at least a day, not %', older_than USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT format('%I.%I', chunk_schema, chunk_name) AS name, range_start, range_end INTO oldest
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = 'public' AND hypertable_name = 'metrics' ORDER BY range_start LIMIT 1;
    IF oldest.range_end IS NULL OR oldest.range_end > now() - older_than
       OR EXISTS (SELECT FROM public.rollup_pending WHERE hour >= oldest.range_start AND hour < oldest.range_end) THEN
        RETURN NULL;
    END IF;
    -- In the order of writers: hosts, then metrics. What a writer has not yet committed is waited for, and then seen.
    LOCK TABLE public.hosts IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', oldest.name);
    IF EXISTS (SELECT FROM public.rollup_pending WHERE hour >= oldest.range_start AND hour < oldest.range_end) THEN
        RETURN NULL;
    END IF;
    PERFORM public.drop_chunks('public.metrics', older_than => oldest.range_end, newer_than => oldest.range_start);
    INSERT INTO public.maintenance AS m (task, reached) VALUES ('metrics dropped', oldest.range_end)
    ON CONFLICT (task) DO UPDATE SET reached = greatest(m.reached, excluded.reached);
    RETURN oldest.range_end;
END
$$;

-- Drops the chunks of metrics_hourly in which all is older than that; how many.
CREATE OR REPLACE FUNCTION drop_hourly_chunks(older_than INTERVAL) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
AS $$
BEGIN
    IF older_than < INTERVAL '1 day' THEN
        RAISE EXCEPTION 'hours are kept for at least a day, not %', older_than USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN (SELECT count(*) FROM public.drop_chunks('public.metrics_hourly', older_than => older_than));
END
$$;

-- Deletes dead letters that were kept for longer than that, at most so many; how many.
CREATE OR REPLACE FUNCTION delete_dead_letters(older_than INTERVAL, most INTEGER) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deleted INTEGER;
BEGIN
    IF older_than < INTERVAL '1 day' THEN
        RAISE EXCEPTION 'dead letters are kept for at least a day, not %', older_than
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    DELETE FROM public.dead_letters WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM public.dead_letters WHERE created_at < now() - older_than ORDER BY created_at LIMIT most));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

REVOKE ALL ON FUNCTION create_metrics_chunks, drop_metrics_chunk, drop_hourly_chunks, delete_dead_letters FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_metrics_chunks, drop_metrics_chunk, drop_hourly_chunks, delete_dead_letters
    TO infrawatch_ingest;
GRANT SELECT, INSERT, UPDATE ON metrics_hourly TO infrawatch_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON rollup_pending TO infrawatch_ingest;
GRANT SELECT, INSERT, UPDATE ON maintenance TO infrawatch_ingest;
GRANT SELECT, DELETE ON metrics_hourly TO infrawatch_api;
GRANT SELECT ON rollup_pending, maintenance TO infrawatch_api;
