"""Snapshots in any order, any batches, and as often as they like: the rows are those of all of them."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drifting import POLICY, Replica, World, said, taken
from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.drift.severity import Outcome
from infrawatch_drift import store_runs
from infrawatch_drift.store_sightings import Sightings
from records import NOW

MINUTE = timedelta(minutes=1)
CONTENTS = {
    "A": said(packages={"dpkg": {"openssl": "1", "curl": "8"}}, env_vars={"LANG": "C"}),
    "B": said(packages={"dpkg": {"openssl": "2", "curl": "8"}}, env_vars={"LANG": "C"}),
    "C": said(os_info="Debian 13", packages={"dpkg": {"openssl": "2"}, "rpm": {"zsh": "5"}}, env_vars={}),
}
Taken = tuple[Snapshot, Any]


def at(minute: int) -> datetime:
    return NOW + minute * MINUTE


def seen(minute: int, content: str, identifier: int | None = None, host: str = "host-a") -> Taken:
    made = None if identifier is None else UUID(int=identifier)
    return taken(host, at(minute), CONTENTS[content], identifier=made)


ONE = st.tuples(st.integers(0, 9), st.sampled_from("ABC"), st.sampled_from(["host-a", "host-b"]))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ONE, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_any_order_in_any_batches_ends_in_the_same_rows(
    database: Any, drawn: list[tuple[int, str, str]], chance: random.Random
) -> None:
    made = [seen(minute, content, number + 1, host) for number, (minute, content, host) in enumerate(drawn)]

    async def both() -> None:
        world = World(database)
        replica = await Replica.of(database)
        try:
            await world.clear()
            await replica.write(*sorted(made, key=lambda one: one[0].timestamp))
            wanted = await world.rows()
            await world.clear()
            order = [*made, *chance.choices(made, k=3)]
            chance.shuffle(order)
            while order:
                size = chance.randint(1, 5)
                await replica.write(*order[:size])
                del order[:size]
            assert await world.rows() == wanted
        finally:
            replica.pool.terminate()

    asyncio.run(both())


async def contents(world: World) -> list[tuple[Any, ...]]:
    """Each row's beginning and end in minutes."""
    rows = await world.fetch("SELECT timestamp, confirmed_at, packages, os_info FROM snapshots ORDER BY timestamp, id")
    names = {
        (json.dumps(content.packages, sort_keys=True), content.os_info): name for name, content in CONTENTS.items()
    }
    return [
        (
            names[json.dumps(json.loads(packages), sort_keys=True), os_info],
            (begin - NOW) // MINUTE,
            (end - NOW) // MINUTE,
        )
        for begin, end, packages, os_info in rows
    ]


async def changes(world: World) -> list[tuple[Any, ...]]:
    rows = await world.fetch(
        "SELECT at, not_before, name, before, after, late FROM drift_changes ORDER BY at, name, source"
    )
    return [((when - NOW) // MINUTE, (since - NOW) // MINUTE, *rest) for when, since, *rest in rows]


async def test_a_late_one_of_the_same_content_extends_a_run(world: World, replica: Replica) -> None:
    await replica.write(seen(0, "A"), seen(9, "B"))
    written = await replica.write(seen(5, "A"), found_at=at(10))
    assert dict(written.outcomes) == {"placed": 1}
    assert await contents(world) == [("A", 0, 5), ("B", 9, 9)]
    assert await changes(world) == [(9, 5, "openssl", '"1"', '"2"', False)]
    assert await told(world) == [("changed", 9), ("revised", 9)]


async def test_a_late_one_lets_a_run_begin_earlier_and_the_verdict_on_it_stays(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    replica = await make_replica(POLICY._replace(notify_severity=Outcome.INFO))
    await replica.write(seen(0, "A"), seen(9, "B"))
    await judge(world)
    await replica.write(seen(5, "B"), found_at=at(10))
    assert await contents(world) == [("A", 0, 0), ("B", 5, 9)]
    assert await changes(world) == [(5, 0, "openssl", '"1"', '"2"', True)]
    assert await world.fetch("SELECT verdict, verdict_reason FROM drift_changes") == [("accepted", "it was planned")]
    history = "SELECT count(*) FROM drift_verdicts JOIN drift_changes ON drift_changes.id = change_id"
    assert await world.fetch(history) == [(1,)], "what was said of it is found under its new id"
    assert await told(world) == [("changed", 9), ("changed", 5), ("withdrawn", 9)]
    assert await world.fetch("SELECT count(*) FROM notices") == [(1,)], "people are not told again"


async def test_a_late_one_splits_a_run(world: World, replica: Replica) -> None:
    await replica.write(seen(0, "A"), seen(4, "A"), seen(6, "A"), seen(9, "B"))
    await judge(world)
    await replica.write(seen(5, "B"), found_at=at(10))
    assert await contents(world) == [("A", 0, 4), ("B", 5, 5), ("A", 6, 6), ("B", 9, 9)]
    assert await changes(world) == [
        (5, 4, "openssl", '"1"', '"2"', True),
        (6, 5, "openssl", '"2"', '"1"', True),
        (9, 6, "openssl", '"1"', '"2"', False),
    ]
    assert await world.fetch("SELECT at, verdict FROM drift_changes WHERE verdict <> 'open'") == [(at(9), "accepted")]


async def test_one_before_all_others_makes_the_first_a_change(world: World, replica: Replica) -> None:
    await replica.write(seen(5, "A"))
    await replica.write(seen(0, "B"), found_at=at(10))
    assert await contents(world) == [("B", 0, 0), ("A", 5, 5)]
    assert await changes(world) == [(5, 0, "openssl", '"2"', '"1"', True)]


async def test_one_between_two_changes_what_the_later_one_differs_from(world: World, replica: Replica) -> None:
    await replica.write(seen(0, "A"), seen(9, "B"))
    await judge(world)
    await replica.write(seen(5, "C"), found_at=at(10))
    found = await changes(world)
    assert [(when, name) for when, _, name, *_ in found] == [
        (5, "curl"),
        (5, "LANG"),
        (5, "openssl"),
        (5, "os_info"),
        (5, ""),
        (9, "curl"),
        (9, "LANG"),
        (9, "os_info"),
        (9, ""),
    ] or sorted((when, name) for when, _, name, *_ in found) == sorted(
        [
            (5, "curl"),
            (5, "LANG"),
            (5, "openssl"),
            (5, "os_info"),
            (5, ""),
            (9, "curl"),
            (9, "LANG"),
            (9, "os_info"),
            (9, ""),
        ]
    )
    assert ("withdrawn", 9) in await told(world), "openssl did not change then"
    assert await world.fetch("SELECT verdict FROM drift_changes WHERE verdict <> 'open'") == []


async def test_a_duplicate_changes_nothing(world: World, replica: Replica) -> None:
    made = [seen(0, "A"), seen(1, "B"), seen(2, "B"), seen(3, "A")]
    await replica.write(*made)
    before = await everything(world)
    written = await replica.write(*made, *made)
    assert dict(written.outcomes) == {"duplicate": 8}
    assert await everything(world) == before


async def test_an_id_that_another_record_has_is_a_dead_letter_and_its_neighbours_are_stored(
    world: World, replica: Replica
) -> None:
    await replica.write(seen(0, "A", 1))
    others = [seen(1, "A", 1), seen(0, "B", 1), seen(0, "A", 1, "host-b")]
    written = await replica.write(*others, seen(2, "A", 2), seen(3, "B", 2), seen(0, "A", 1))
    assert dict(written.outcomes) == {"confirmed": 1, "duplicate": 1}
    letters = await world.fetch("SELECT \"offset\", reason, host_id FROM dead_letters WHERE service = 'drift'")
    assert sorted(letters) == sorted(
        [(message.offset, "repeated_id", one.host_id) for one, message in others]
        + [(letters[-1][0], "repeated_id", "host-a")]
    )
    assert await contents(world) == [("A", 0, 2)]


async def test_an_id_whose_sighting_was_forgotten_is_still_taken(world: World, replica: Replica) -> None:
    await replica.write(seen(0, "A", 1))
    async with world.database.admin() as admin:
        await admin.execute("DELETE FROM snapshot_sightings")
    written = await replica.write(seen(0, "A", 1), seen(5, "A", 1))
    assert dict(written.outcomes) == {"duplicate": 1}
    assert [rejection.reason for rejection in written.refused] == ["repeated_id"]


async def test_only_what_lies_within_runs_is_forgotten_and_late_ones_find_their_place_without(
    world: World, replica: Replica
) -> None:
    await replica.write(*(seen(minute, "A") for minute in range(8)), seen(8, "B"), seen(9, "B"))
    sightings = Sightings(replica.pool)
    before = await world.rows()
    assert [await sightings.prune(at(9), 4) for _ in range(3)] == [4, 2, 0]
    assert await world.rows() == before
    await replica.write(taken("host-a", at(4) + MINUTE / 2, CONTENTS["C"]), found_at=at(10))
    assert await contents(world) == [("A", 0, 0), ("C", 4, 4), ("A", 7, 7), ("B", 8, 9)]


async def test_replicas_that_write_the_same_hosts_at_once_leave_the_rows_of_one(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    chance = random.Random(7)
    hosts = [f"host-{number}" for number in range(6)]
    made = [seen(minute, chance.choice("ABC"), host=host) for minute in range(10) for host in hosts]
    replicas = [await make_replica() for _ in range(3)]
    await replicas[0].write(*made)
    wanted = await world.rows()
    await world.clear()

    async def write(replica: Replica, order: Sequence[Taken]) -> None:
        for start in range(0, len(order), 7):
            await replica.write(*order[start : start + 7])

    await asyncio.gather(*(write(replica, chance.sample(made, len(made))) for replica in replicas))
    assert await world.rows() == wanted


async def judge(world: World) -> None:
    async with world.database.admin() as admin:
        await admin.execute("UPDATE drift_changes SET verdict = 'accepted', verdict_reason = 'it was planned'")
        await admin.execute(
            "INSERT INTO drift_verdicts (change_id, host_id, verdict, reason, at)"
            " SELECT id, host_id, verdict, verdict_reason, now() FROM drift_changes"
        )


async def told(world: World) -> list[tuple[str, int]]:
    rows = await world.fetch("SELECT value->>'event', (value->>'at')::timestamptz FROM outbox ORDER BY id")
    return [(kind, (when - NOW) // MINUTE) for kind, when in rows]


async def everything(world: World) -> list[Any]:
    tables = ("hosts", "snapshots", "snapshot_sightings", "drift_changes", "outbox", "notices", "notice_hosts", "facts")
    return [await world.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in tables]


async def test_what_is_in_hand_at_a_time_makes_no_difference(
    world: World, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that changes altogether in each snapshot of a batch is worked out piece by piece."""
    other = said(os_info="other", packages={"apk": {f"p{number}": "1" for number in range(20)}}, env_vars={"X": "1"})
    made = [seen(minute, "ABC"[minute % 3], minute + 1) for minute in range(12)]
    made += [taken("host-b", at(n), [other, CONTENTS["C"]][n % 2], identifier=UUID(int=100 + n)) for n in range(12)]
    made += [seen(20, "A", 50, "host-b"), seen(3, "C", 51, "host-c")]
    late = [taken("host-b", at(n) + MINUTE / 2, CONTENTS["A"], identifier=UUID(int=200 + n)) for n in range(12)]
    await replica.write(*made, found_at=at(30))
    await replica.write(*late, found_at=at(30))
    wanted = await world.rows(), await told(world)
    for size, changes_at_once in ((1, 5_000), (3_000, 4), (10**9, 1)):
        monkeypatch.setattr(store_runs, "_PIECE_BYTES", size)
        monkeypatch.setattr(store_runs, "_CHANGES", changes_at_once)
        await world.clear()
        await replica.write(*made, found_at=at(30))
        await replica.write(*late, found_at=at(30))
        assert (await world.rows(), await told(world)) == wanted
