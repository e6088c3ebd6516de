"""The jobs of running ingest processes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stack import Database, Service, Topics, eventually, ingest_environment

MakeService = Callable[..., Service]
HOSTS, HOURS = 20, 30

SEED = """
WITH new AS (
    INSERT INTO hosts (id, name) SELECT 'host-' || n, 'host-' || n FROM generate_series(1, $1) AS n RETURNING id)
INSERT INTO metrics
SELECT gen_random_uuid(), id, moment, random() * 100, random() * 100, random() * 100, n
FROM new, generate_series($2::timestamptz, $3::timestamptz - interval '1 s', interval '5 min')
    WITH ORDINALITY AS m (moment, n)
"""
MARK = """
INSERT INTO rollup_pending SELECT DISTINCT host_id, date_trunc('hour', timestamp, 'UTC'), now() - interval '1 hour'
FROM metrics
"""
UNLIKE_RAW = """
SELECT count(*) FROM metrics_hourly FULL JOIN (
    SELECT host_id, date_trunc('hour', timestamp, 'UTC') AS hour, count(*), sum(cpu) AS cpu FROM metrics GROUP BY 1, 2
) AS raw USING (host_id, hour)
WHERE raw.count IS DISTINCT FROM metrics_hourly.count OR abs(raw.cpu - cpu_avg * raw.count) > 1e-6
"""
IN_ROLLUP = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'infrawatch_ingest'
               AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO metrics_hourly%')
"""


# As long as this row is not committed, whoever writes the same hour waits.
BLOCK = "INSERT INTO metrics_hourly VALUES ('host-1', $1, 0, 0,0,0, 0,0,0, 0,0,0, 0)"


async def test_ingest_killed_in_the_middle_of_the_rollup_leaves_nothing_half_done_and_goes_on(
    database: Database, topics: Topics, service: MakeService
) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    begin = end - timedelta(hours=HOURS)
    environment = ingest_environment(database, topics, rollup_batch=7)
    async with database.admin() as admin:
        await admin.execute(SEED, HOSTS, begin, end)
        await admin.execute(MARK)
        for hour in range(HOURS):  # so that the chunks are there, and a blocked row blocks nothing else
            await admin.execute(BLOCK, begin + timedelta(hours=hour))
        await admin.execute("DELETE FROM metrics_hourly")
        for hour in (0, 5, 10):
            async with database.admin() as blocker:
                blocked = blocker.transaction()
                await blocked.start()
                await blocker.execute(BLOCK, begin + timedelta(hours=hour))
                ingest = service("ingest", environment)
                ingest.launch()
                await eventually(lambda: admin.fetchval(IN_ROLLUP))
                ingest.kill()
                await blocked.rollback()
            done = await admin.fetchval("SELECT count(*) FROM metrics_hourly")
            assert done + await admin.fetchval("SELECT count(*) FROM rollup_pending") == HOSTS * HOURS
            assert hour == 0 or done > 0, "the kill must hit a rollup that has got somewhere"

        async def all_done() -> bool:
            return bool(await admin.fetchval("SELECT NOT EXISTS (SELECT FROM rollup_pending)"))

        ingest = service("ingest", environment).start()
        await eventually(all_done)
        assert await admin.fetchval("SELECT count(*) FROM metrics_hourly") == HOSTS * HOURS
        assert await admin.fetchval(UNLIKE_RAW) == 0
        assert ingest.stop() == 0


async def test_of_two_replicas_one_at_a_time_does_a_job_and_the_other_takes_over(
    database: Database, topics: Topics, service: MakeService
) -> None:
    replicas = [service("ingest", ingest_environment(database, topics)).start() for _ in range(2)]

    async def chunks_are_made() -> bool:
        return sum(r.metric('infrawatch_ingest_job_runs_total{job="chunks",outcome="done"}') for r in replicas) >= 1

    await eventually(chunks_are_made)
    async with database.admin() as admin:
        assert await admin.fetchval("SELECT count(*) FROM show_chunks('metrics')") == 4
    assert all(replica.stop() == 0 for replica in replicas)
