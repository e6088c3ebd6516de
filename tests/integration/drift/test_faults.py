"""What goes wrong between a batch and its rows."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from drifting import EVENTS_TOPIC, POLICY, Replica, World, batch, said, taken
from infrawatch_drift.store import Store
from records import NOW
from stack import eventually

MINUTE = timedelta(minutes=1)
A, B = said(packages={"dpkg": {"openssl": "1"}}), said(packages={"dpkg": {"openssl": "2"}})

HOSTILE = {
    "sql": "'; DROP TABLE snapshots; --",
    "template": "{{7*7}} {0.__class__} %n %s ${jndi:ldap://x}",
    "lines": "a\r\nb\tc\x1b[31m\x7f",
    "markup": "<script>alert(1)</script>",
    "formula": "=cmd|' /C calc'!A0",
    "noncharacter": "\uffff\ufffe\ufdd0",
    "direction": "\u202eabc\u200b\u2028",
    "plane": "\U0001f600\U0010ffff",
    "json": '"}],{"x":[',
    "path": "../../etc/passwd\\",
    "array": '{"a",NULL,\\}',
    "space": " ",
    "case": "\u0130\u0131\u017f\u212a",
}


async def test_hostile_texts_are_stored_as_they_are_and_change_nothing_else(world: World, replica: Replica) -> None:
    values = {**HOSTILE, "long": "ü" * 4096, "wide": "\U0001f600" * 4096}
    names = {**dict.fromkeys(HOSTILE.values(), "1"), "\U0001f600" * 512: "\U0001f4a9" * 4096, "x" * 512: ""}
    hostile = said(
        os_info=HOSTILE["sql"],
        kernel=HOSTILE["lines"],
        packages={**dict.fromkeys(HOSTILE.values(), names)},
        env_vars={**{v: n for n, v in HOSTILE.items()}, **values},
    )
    neighbours = [taken(f"host-{number}", NOW, A) for number in range(3)]
    first = taken("bad", NOW, hostile, name=HOSTILE["sql"], tags={text: text for text in HOSTILE.values()})
    written = await replica.write(*neighbours[:2], first, neighbours[2])
    assert (dict(written.outcomes), written.refused) == ({"stored": 4}, ())
    await replica.write(taken("bad", NOW + MINUTE, A))
    await replica.write(taken("bad", NOW + 2 * MINUTE, hostile))
    rows = await world.fetch(
        "SELECT os_info, kernel, packages, env_vars FROM snapshots WHERE host_id = 'bad' AND digest = $1",
        first[0].digest,
    )
    assert [(row[0], row[1]) for row in rows] == [(hostile.os_info, hostile.kernel)] * 2
    facts = await world.fetch(
        "SELECT category, source, name, value FROM facts"
        " WHERE id = ANY (SELECT unnest(facts) FROM snapshots WHERE host_id = 'bad')"
    )
    assert {(source, name, value) for category, source, name, value in facts if category == "package"} >= {
        (source, name, version) for source, listed in hostile.packages.items() for name, version in listed.items()
    }
    assert {(name, value) for category, _, name, value in facts if category == "env"} == set(hostile.env_vars.items())
    assert await world.fetch("SELECT count(*) FROM dead_letters") == [(0,)]
    assert await world.fetch("SELECT count(*) FROM snapshots WHERE host_id <> 'bad'") == [(3,)]


async def test_one_record_that_the_database_refuses_is_a_dead_letter_and_all_others_are_stored(
    world: World, replica: Replica
) -> None:
    good = [taken(f"host-{number:03}", NOW, A) for number in range(199)]
    bad = taken("host-bad", NOW, replace(A, os_info="thirteen"))
    async with world.database.admin() as admin:
        await admin.execute("ALTER TABLE snapshots ADD CONSTRAINT no_thirteen CHECK (os_info <> 'thirteen')")
    written = await replica.write(*good[:120], bad, *good[120:])
    assert written.outcomes["stored"] == 199
    assert [rejection.reason for rejection in written.refused] == ["refused_by_database"]
    assert await world.fetch('SELECT "offset", reason, host_id FROM dead_letters') == [
        (bad[1].offset, "refused_by_database", "host-bad")
    ]
    assert await world.fetch(
        "SELECT count(*), count(*) FILTER (WHERE host_id = 'host-bad') FROM snapshot_sightings"
    ) == [(199, 0)]
    assert replica.metrics.split_batches._value.get() <= 8


async def test_a_text_that_cannot_be_written_is_refused_alone(replica: Replica) -> None:
    """A lone surrogate is no text for PostgreSQL; no reader lets it through, and if one did, it would stop nobody."""
    bad = taken("host-b", NOW, A)
    broken = bad[0]._replace(content=replace(A, os_info="\ud800"), digest=b"x" * 32)
    written = await replica.store.write(batch([taken("host-a", NOW, A), (broken, bad[1]), taken("host-c", NOW, A)]))
    assert written.outcomes["stored"] == 2
    assert [rejection.reason for rejection in written.refused] == ["refused_by_database"]


async def test_a_host_that_is_purged_meanwhile_is_registered_again(world: World, replica: Replica) -> None:
    await replica.write(taken("host-a", NOW, A), taken("host-b", NOW, A))
    async with world.database.admin() as admin:
        for table in ("snapshots", "snapshot_sightings", "drift_changes", "drift_hosts", "hosts"):
            column = "id" if table == "hosts" else "host_id"
            await admin.execute(f"DELETE FROM {table} WHERE {column} = 'host-a'")
    written = await replica.write(taken("host-a", NOW + MINUTE, B), taken("host-b", NOW + MINUTE, A))
    assert dict(written.outcomes) == {"stored": 1, "confirmed": 1}
    assert await world.fetch("SELECT id FROM hosts ORDER BY id") == [("host-a",), ("host-b",)]
    assert await world.fetch("SELECT count(*) FROM drift_changes") == [(0,)]


async def test_a_host_that_was_purged_and_is_back_by_another_service_is_registered_too(
    world: World, replica: Replica
) -> None:
    await replica.write(taken("host-a", NOW, A))
    async with world.database.admin() as admin:
        await admin.execute("DELETE FROM snapshots")
        await admin.execute("DELETE FROM snapshot_sightings")
        await admin.execute("DELETE FROM drift_hosts")
    assert dict((await replica.write(taken("host-a", NOW + MINUTE, A, name="web"))).outcomes) == {"stored": 1}
    assert await world.fetch("SELECT host_id FROM drift_hosts") == [("host-a",)]


class KilledError(Exception):
    """The process is gone."""


class _Connection:
    """A connection that dies before the statement with this number, the first being 1."""

    def __init__(self, connection: Any, countdown: "itertools.count[int]", at: int) -> None:
        self._connection, self._countdown, self._at = connection, countdown, at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "executemany", "fetch", "fetchrow", "fetchval"}:
            return found

        async def counted(*arguments: Any, **options: Any) -> Any:
            if next(self._countdown) == self._at:
                self._connection.terminate()
                raise KilledError
            return await found(*arguments, **options)

        return counted


class _Pool:
    """A pool whose connections die before the statement with this number."""

    def __init__(self, pool: Any, at: int) -> None:
        self._pool, self._countdown, self._at = pool, itertools.count(1), at
        self.statements = 0

    @contextlib.asynccontextmanager
    async def acquire(self) -> Any:
        connection = await self._pool.acquire()
        try:
            yield _Connection(connection, self._countdown, self._at)
        finally:
            with contextlib.suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                await self._pool.release(connection)


async def test_a_process_that_dies_at_any_statement_leaves_nothing_half_done(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    replica = await make_replica()
    before = [taken("host-a", NOW, A), taken("host-b", NOW, A), taken("host-b", NOW + 9 * MINUTE, B)]
    then = [
        taken("host-a", NOW + MINUTE, B),
        taken("host-b", NOW + 5 * MINUTE, replace(B, kernel="6.12")),
        taken("host-c", NOW, B),
        (before[0][0]._replace(digest=b"another record's" * 2), before[0][1]),
    ]
    late = NOW + 10 * MINUTE
    await replica.write(*before, found_at=late)
    await replica.write(*then, found_at=late)
    wanted, letters = await world.rows(), await world.fetch("SELECT count(*) FROM dead_letters")
    died = 0
    for at in itertools.count(1):
        await world.clear()
        await replica.write(*before, found_at=late)
        doomed = Store(_Pool(replica.pool, at), replica.metrics, POLICY, EVENTS_TOPIC, clock=lambda: late)  # type: ignore[arg-type]
        kept = await world.rows()
        try:
            await doomed.write(batch(then))
        except (KilledError, asyncpg.InterfaceError):
            died += 1
            assert await world.rows() == kept
            await replica.write(*then, found_at=late)
            assert await world.rows() == wanted
            assert await world.fetch("SELECT count(*) FROM dead_letters") == letters
        else:
            break
    assert died > 20


async def is_waited_for(admin: Any) -> bool:
    return bool(await admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_a_batch_that_is_cancelled_leaves_nothing(world: World, replica: Replica) -> None:
    await replica.write(taken("host-a", NOW, A))
    async with world.database.admin() as admin, admin.transaction():
        await admin.execute("SELECT FROM drift_hosts FOR UPDATE")
        writing = asyncio.create_task(replica.write(taken("host-a", NOW + MINUTE, B)))
        await eventually(lambda: is_waited_for(admin))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await world.fetch("SELECT count(*) FROM snapshot_sightings") == [(1,)]
    assert dict((await replica.write(taken("host-a", NOW + MINUTE, B))).outcomes) == {"stored": 1}
