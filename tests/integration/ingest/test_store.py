"""What a batch leaves in the database."""

import itertools
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from infrawatch_common.database import create_pool
from infrawatch_common.events import Reason, decode_sample
from infrawatch_common.events.batch import Batch, sort_out
from infrawatch_common.events.judgement import Rules
from infrawatch_ingest.metrics import IngestMetrics
from infrawatch_ingest.settings import Settings
from infrawatch_ingest.store import Store
from infrawatch_ingest.store_streams import Streams
from records import MASTER_SECRET, NOW, FakeMessage, host_key, sample, signed
from stack import Database

RULES = Rules(accept_unsigned=False, clock_tolerance=300, retention=30 * 86_400)


class StoreUnderTest:
    """A store as ingest wires it, and what it leaves behind."""

    def __init__(self, database: Database, pool: asyncpg.Pool) -> None:
        self.database = database
        self.metrics = IngestMetrics(CollectorRegistry())
        self.store = Store(pool, self.metrics, Streams(pool, 100, 50, timedelta(seconds=30)))

    async def fetch(self, query: str) -> list[Any]:
        async with self.database.admin() as connection:
            return [tuple(row) for row in await connection.fetch(query)]


@pytest.fixture
async def under_test(database: Database) -> AsyncIterator[StoreUnderTest]:
    settings = Settings.model_validate(
        {
            "database_url": database.url("ingest"),
            "database_password": database.password,
            "host_key_secret": MASTER_SECRET,
        }
    )
    pool = create_pool(settings, application="test")
    await pool
    yield StoreUnderTest(database, pool)
    await pool.close()


def batch(*messages: FakeMessage) -> Batch[Any, Any]:
    hosts = {key.id: key for key in map(host_key, ("host-a", "host-b", "host-c"))}
    return sort_out(messages, hosts, RULES, decode_sample)


async def test_a_sample_is_stored_with_its_numbers_and_its_host_is_registered(under_test: StoreUnderTest) -> None:
    written = await under_test.store.write(batch(signed(sample(cpu=1.5, memory=2.5, disk=3.5, uptime=4))))
    assert written.stored == 1
    assert await under_test.fetch("SELECT host_id, timestamp, cpu, memory, disk, uptime FROM metrics") == [
        ("host-a", NOW, 1.5, 2.5, 3.5, 4)
    ]
    assert await under_test.fetch("SELECT id, name FROM hosts") == [("host-a", "host-a")]


async def test_every_sample_is_read_back_as_it_was_sent(under_test: StoreUnderTest) -> None:
    sent = [
        sample(host, number, NOW - timedelta(microseconds=step), cpu=cpu, memory=0.1, disk=100.0, uptime=uptime)
        for host in ("host-a", "host-b")
        for number, (step, cpu, uptime) in enumerate(
            itertools.product((0, 1, 999_999, 86_400_000_001), (0.0, 5e-324, 1 / 3, 100.0), (0, 2**31 - 1))
        )
    ]
    await under_test.store.write(batch(*map(signed, sent)))
    stored = await under_test.fetch("SELECT id::text, host_id, timestamp, cpu, memory, disk, uptime FROM metrics")
    columns = ("id", "host_id", "timestamp", "cpu", "memory", "disk", "uptime")
    assert {row[0]: row for row in stored} == {
        record["id"]: tuple(
            datetime.fromisoformat(record[name]) if name == "timestamp" else record[name] for name in columns
        )
        for record in sent
    }


async def test_a_batch_that_is_written_again_changes_nothing(under_test: StoreUnderTest) -> None:
    again = batch(*[signed(sample(sequence=number)) for number in range(10)])
    await under_test.store.write(again)
    written = await under_test.store.write(again)
    assert (written.stored, written.duplicates) == (0, 10)
    assert await under_test.fetch("SELECT count(*) FROM metrics") == [(10,)]


async def test_new_records_among_repeated_ones_are_stored(under_test: StoreUnderTest) -> None:
    old, new = signed(sample(sequence=1)), signed(sample(sequence=2))
    await under_test.store.write(batch(old))
    written = await under_test.store.write(batch(old, new, new))
    assert (written.stored, written.duplicates) == (1, 2)


async def test_a_replay_fails_in_one_batch_alone_and_new_batches_are_copied_again(under_test: StoreUnderTest) -> None:
    old = [batch(*[signed(sample(sequence=n)) for n in range(start, start + 10)]) for start in (0, 10, 20)]
    new = [batch(*[signed(sample(sequence=n)) for n in range(start, start + 10)]) for start in (30, 40, 50)]
    for part in old:
        await under_test.store.write(part)
    assert under_test.metrics.merged_batches._value.get() == 0
    for part in old:
        assert (await under_test.store.write(part)).duplicates == 10
    assert under_test.store._repeats
    for part in new:
        assert (await under_test.store.write(part)).stored == 10
    assert under_test.metrics.merged_batches._value.get() == len(old) + 1, "the first new batch is merged, then none"


async def test_a_row_that_the_database_refuses_becomes_a_dead_letter_and_its_neighbours_are_stored(
    under_test: StoreUnderTest,
) -> None:
    async with under_test.database.admin() as connection:
        await connection.execute("ALTER TABLE metrics ADD CONSTRAINT no_thirteen CHECK (cpu <> 13)")
    messages = [signed(sample(sequence=n, cpu=13.0 if n == 77 else 1.0), offset=n) for n in range(500)]
    written = await under_test.store.write(batch(*messages))
    assert written.stored == 499
    assert [rejection.reason for rejection in written.refused] == [Reason.REFUSED_BY_DATABASE]
    assert await under_test.fetch('SELECT "offset", reason, host_id FROM dead_letters') == [
        (77, "refused_by_database", "host-a")
    ]
    splits = under_test.metrics.split_batches._value.get()
    assert splits <= 10, "500 rows need at most log2(500) + 1 halvings for one bad row"


async def test_a_bad_record_with_headers_that_the_database_cannot_hold_becomes_a_dead_letter_too(
    under_test: StoreUnderTest,
) -> None:
    headers: Any = [("a\0b", b"c"), ("without value", None)]
    await under_test.store.write(batch(FakeMessage(b"{", headers=headers)))
    assert await under_test.fetch("SELECT reason, value FROM dead_letters") == [("unsigned", b"{")]


async def test_a_refused_row_among_repeated_ones_is_found_too(under_test: StoreUnderTest) -> None:
    old = signed(sample(sequence=1), offset=1)
    await under_test.store.write(batch(old))
    async with under_test.database.admin() as connection:
        await connection.execute("ALTER TABLE metrics ADD CONSTRAINT no_thirteen CHECK (cpu <> 13)")
    written = await under_test.store.write(batch(old, signed(sample(cpu=13.0), offset=2), signed(sample(), offset=3)))
    assert (written.stored, written.duplicates, len(written.refused)) == (1, 1, 1)


async def test_a_dead_letter_is_kept_whole_and_once(under_test: StoreUnderTest) -> None:
    bad = FakeMessage(b"\xff\x00", key=None, headers=[("h", b"\x01")], partition=3, offset=9)
    for _ in range(2):
        await under_test.store.write(batch(bad))
    assert await under_test.fetch(
        'SELECT service, topic, partition, "offset", reason, key, value, headers::text, appended_at FROM dead_letters'
    ) == [("ingest", bad.topic, 3, 9, "unsigned", None, b"\xff\x00", '{"h": "01"}', bad.appended_at)]


async def test_a_host_that_was_purged_between_two_batches_is_registered_again(under_test: StoreUnderTest) -> None:
    await under_test.store.write(batch(signed(sample())))
    async with under_test.database.admin() as connection:
        await connection.execute("DELETE FROM metrics")
        await connection.execute("DELETE FROM hosts")
    written = await under_test.store.write(batch(signed(sample())))
    assert written.stored == 1
    assert await under_test.fetch("SELECT id FROM hosts") == [("host-a",)]


async def test_a_host_that_is_deleted_after_its_registration_is_registered_again(
    under_test: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await under_test.store.write(batch(signed(sample("host-b"))))
    register = under_test.store._register
    deletions = iter(range(2))

    async def register_and_lose(connection: Any, ids: Any) -> None:
        await register(connection, ids)
        if next(deletions, None) is not None:
            async with under_test.database.admin() as admin:
                await admin.execute("DELETE FROM hosts WHERE id = 'host-a'")

    monkeypatch.setattr(under_test.store, "_register", register_and_lose)
    assert (await under_test.store.write(batch(signed(sample())))).stored == 1
    assert await under_test.fetch("SELECT id FROM hosts ORDER BY id") == [("host-a",), ("host-b",)]


async def test_deleting_hosts_waits_for_the_batch_that_is_being_written(under_test: StoreUnderTest) -> None:
    await under_test.store.write(batch(signed(sample())))
    async with under_test.store._pool.acquire() as writer, under_test.database.admin() as admin:
        async with writer.transaction():
            await under_test.store._begin_insert(writer)
            await admin.execute("SET lock_timeout = '100ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await admin.execute("DELETE FROM hosts WHERE id = 'another'")
        await admin.execute("DELETE FROM hosts WHERE id = 'another'")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM hosts",
        "TRUNCATE hosts CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM hosts",
        "ALTER TABLE hosts RENAME TO lost; CREATE TABLE hosts (LIKE lost INCLUDING ALL)",
    ],
)
async def test_whatever_may_take_a_host_away_changes_the_version_that_writers_know(
    under_test: StoreUnderTest, change: str
) -> None:
    async with under_test.database.admin() as admin:
        before = await admin.fetchval("SELECT begin_insert_for_known_hosts('')")
        assert await admin.fetchval("SELECT begin_insert_for_known_hosts($1)", before) == before
        async with admin.transaction():
            await admin.execute(change)
            assert await admin.fetchval("SELECT begin_insert_for_known_hosts($1)", before) != before


async def test_an_unknown_version_leaves_row_triggers_on(under_test: StoreUnderTest) -> None:
    async with under_test.store._pool.acquire() as connection, connection.transaction():
        version = await connection.fetchval("SELECT begin_insert_for_known_hosts('')")
        assert await connection.fetchval("SHOW session_replication_role") == "origin"
        assert await connection.fetchval("SELECT begin_insert_for_known_hosts($1)", version) == version
        assert await connection.fetchval("SHOW session_replication_role") == "replica"


async def test_the_foreign_key_still_holds_for_everybody_else(under_test: StoreUnderTest) -> None:
    await under_test.store.write(batch(signed(sample())))
    async with under_test.database.admin() as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute("DELETE FROM hosts")


async def test_row_triggers_are_off_for_no_longer_than_the_insert(under_test: StoreUnderTest) -> None:
    await under_test.store.write(batch(signed(sample())))
    async with under_test.store._pool.acquire() as connection:
        assert await connection.fetchval("SHOW session_replication_role") == "origin"
