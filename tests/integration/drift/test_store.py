"""What a batch of snapshots leaves in the database."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from drifting import EVENTS_TOPIC, POLICY, Replica, World, said, taken
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import subject
from infrawatch_common.drift.reading import Limits, Snapshot, SnapshotReader
from infrawatch_common.drift.severity import Outcome
from records import NOW, FakeMessage

MINUTE = timedelta(minutes=1)
OPENSSL = Key(Category.PACKAGE, "dpkg", "openssl")
BEFORE = said(packages={"dpkg": {"openssl": "3.0.15-1", "curl": "8.1"}}, env_vars={"LANG": "C"})
AFTER = said(packages={"dpkg": {"openssl": "3.0.16-1", "curl": "8.1"}}, env_vars={"LANG": "C"})


async def test_the_first_snapshot_of_a_host_is_a_row_and_no_change(world: World, replica: Replica) -> None:
    first = taken("host-a", NOW, BEFORE)
    written = await replica.write(first)
    assert written.outcomes["stored"] == 1
    [row], changes = await world.rows()
    assert row[:5] == (first[0].id, "host-a", NOW, NOW, first[0].digest)
    assert row[5:7] == (BEFORE.os_info, BEFORE.kernel)
    assert [json.loads(text) for text in row[7:9]] == [BEFORE.packages, BEFORE.env_vars]
    assert sorted(row[9]) == [
        "env//LANG=C",
        "kernel//kernel=6.1.0-18-amd64",
        "os//os_info=Debian GNU/Linux 12",
        "package/dpkg/curl=8.1",
        "package/dpkg/openssl=3.0.15-1",
    ]
    assert changes == []
    assert await world.fetch("SELECT count(*) FROM outbox") == [(0,)]


async def test_the_same_content_confirms_the_row_that_is_there(world: World, replica: Replica) -> None:
    await replica.write(taken("host-a", NOW, BEFORE))
    written = await replica.write(taken("host-a", NOW + MINUTE, BEFORE), taken("host-a", NOW + 2 * MINUTE, BEFORE))
    assert dict(written.outcomes) == {"confirmed": 2}
    [row], _ = await world.rows()
    assert row[2:4] == (NOW, NOW + 2 * MINUTE)
    assert await world.fetch("SELECT count(*) FROM snapshot_sightings") == [(3,)]


async def test_a_change_is_a_row_with_everything_that_is_known_of_it(world: World, replica: Replica) -> None:
    await replica.write(taken("host-a", NOW, BEFORE))
    await replica.write(taken("host-a", NOW + MINUTE, BEFORE))
    second = taken("host-a", NOW + 2 * MINUTE, AFTER)
    await replica.write(second)
    _, [change] = await world.rows()
    about = subject(OPENSSL)
    assert change == (
        uuid5(NAMESPACE_URL, f"infrawatch:{second[0].id}:{about.hex()}"),
        "host-a",
        second[0].id,
        NOW + MINUTE,
        NOW + 2 * MINUTE,
        "package",
        "dpkg",
        "openssl",
        about,
        "changed",
        "upgraded",
        '"3.0.15-1"',
        '"3.0.16-1"',
        *change[13:15],
        None,
        False,
    )
    found = await world.fetch("SELECT found_at, late, verdict FROM drift_changes")
    assert found == [(NOW + 2 * MINUTE + timedelta(seconds=1), False, "open")]
    metrics = replica.metrics.changes.labels(change[13], "package")
    assert metrics._value.get() == 1


async def test_the_facts_of_a_snapshot_are_what_it_says_whatever_changed(world: World, replica: Replica) -> None:
    contents = [
        said(packages={"dpkg": {"a": "1", "b": "1"}}, env_vars={"X": "1"}),
        said(packages={"dpkg": {"a": "2", "c": "1"}, "rpm": {"d": "1", "e": "1"}}, env_vars={"X": "2", "Y": ""}),
        said(os_info="Debian 13", packages={"rpm": {"d": "1"}}, env_vars={"Y": ""}),
        said(kernel="6.12", packages={"dpkg": {}, "rpm": {"d": "1"}}),
    ]
    await replica.write(*(taken("host-a", NOW + step * MINUTE, content) for step, content in enumerate(contents)))
    rows, _ = await world.rows()
    for row, content in zip(rows, contents, strict=True):
        wanted = [f"os//os_info={content.os_info}", f"kernel//kernel={content.kernel}"]
        wanted += [
            f"package/{source}/{name}={version}"
            for source, listed in content.packages.items()
            for name, version in listed.items()
        ]
        wanted += [f"env//{name}={value}" for name, value in content.env_vars.items()]
        assert sorted(row[9]) == sorted(wanted)
    assert await world.fetch(
        "SELECT bool_and(facts = (SELECT array_agg(f ORDER BY f) FROM unnest(facts) AS f)) FROM snapshots"
    ) == [(True,)]


async def test_a_host_gets_its_name_and_tags_with_its_first_snapshot_alone(world: World, replica: Replica) -> None:
    async with world.database.admin() as admin:
        await admin.execute(
            "INSERT INTO hosts (id, name, tags) VALUES ('known', 'known', '{}'), ('named', 'mine', '{}')"
        )
    hosts = ("new", "known", "named")
    await replica.write(*(taken(host, NOW, BEFORE, name="web", tags={"env": "prod"}) for host in hosts))
    await replica.write(taken("new", NOW + MINUTE, BEFORE, name="other", tags={"env": "test"}))
    assert await world.fetch("SELECT id, name, tags FROM hosts ORDER BY id") == [
        ("known", "web", '{"env": "prod"}'),
        ("named", "mine", "{}"),
        ("new", "web", '{"env": "prod"}'),
    ]


async def test_what_an_operator_emptied_stays_as_it_is(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    await (await make_replica()).write(taken("host-a", NOW, BEFORE, name="web"))
    async with world.database.admin() as admin:
        await admin.execute("UPDATE hosts SET name = id, tags = '{}'")
    await (await make_replica()).write(taken("host-a", NOW + MINUTE, BEFORE, name="web"))
    assert await world.fetch("SELECT name FROM hosts") == [("host-a",)]


async def events(world: World) -> list[dict[str, Any]]:
    rows = await world.fetch("SELECT service, topic, key, value FROM outbox ORDER BY id")
    assert {row[:2] for row in rows} <= {("drift", EVENTS_TOPIC)}
    made = [json.loads(row[3]) for row in rows]
    assert [row[2] for row in rows] == [event["host_id"] for event in made]
    return made


async def test_a_change_is_published_once_as_it_may_be_shown(world: World, replica: Replica) -> None:
    secret = replace(BEFORE, env_vars={"LANG": "C", "API_TOKEN": "old"})
    first = taken("host-a", NOW, secret)
    second = taken("host-a", NOW + MINUTE, replace(secret, env_vars={"LANG": "C", "API_TOKEN": "new"}))
    await replica.write(first, second)
    await replica.write(first, second)
    [event] = await events(world)
    assert event == {
        "event": "changed",
        "id": event["id"],
        "host_id": "host-a",
        "snapshot_id": str(second[0].id),
        "not_before": NOW.isoformat(),
        "at": (NOW + MINUTE).isoformat(),
        "found_at": (NOW + MINUTE + timedelta(seconds=1)).isoformat(),
        "late": False,
        "category": "env",
        "source": "",
        "name": "API_TOKEN",
        "action": "changed",
        "direction": None,
        "before": "(hidden)",
        "after": "(hidden)",
        "packages_before": None,
        "packages_after": None,
        "severity": event["severity"],
        "reason": event["reason"],
    }


async def test_a_source_is_published_by_how_much_it_lists(world: World, replica: Replica) -> None:
    more = replace(BEFORE, packages={**BEFORE.packages, "rpm": {"a": "1", "b": "2"}})
    await replica.write(taken("host-a", NOW, BEFORE), taken("host-a", NOW + MINUTE, more))
    [event] = await events(world)
    shown = {
        name: event[name] for name in ("category", "source", "before", "after", "packages_before", "packages_after")
    }
    assert shown == {
        "category": "source",
        "source": "rpm",
        "before": None,
        "after": None,
        "packages_before": None,
        "packages_after": 2,
    }


async def test_what_is_ignored_is_stored_and_nobody_is_told(world: World, replica: Replica) -> None:
    rule = uuid4()
    async with world.database.admin() as admin:
        await admin.execute(
            "INSERT INTO drift_ignores (id, category, sources, names, selector, reason)"
            " VALUES ($1, 'package', '{dpkg}', '{open*}', '{\"env\": \"prod\"}', 'it is ours')",
            rule,
        )
    for host, env in (("host-a", "prod"), ("host-b", "test")):
        await replica.write(
            taken(host, NOW, BEFORE, tags={"env": env}), taken(host, NOW + MINUTE, AFTER, tags={"env": env})
        )
    assert await world.fetch("SELECT host_id, ignored_by, hidden FROM drift_changes ORDER BY host_id") == [
        ("host-a", rule, True),
        ("host-b", None, False),
    ]
    assert [event["host_id"] for event in await events(world)] == ["host-b"]
    assert await world.fetch("SELECT host_id FROM notices WHERE host_id = 'host-a'") == []


async def test_people_are_told_of_a_snapshot_once_by_the_worst_of_it(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    replica = await make_replica(POLICY._replace(notify_severity=Outcome.INFO))
    packages = {"dpkg": {f"package-{number}": "1" for number in range(30)}}
    second = taken("host-a", NOW + MINUTE, said(os_info="Debian 13", packages=packages))
    await replica.write(taken("host-a", NOW, said(packages={"dpkg": {}})), second)
    await replica.write(second)
    [(identifier, kind, host, fired_at, ended, event)] = await world.fetch(
        "SELECT id, kind, host_id, fired_at, ended, event FROM notices"
    )
    assert (kind, host, fired_at, ended) == ("drift", "host-a", NOW + MINUTE, True)
    assert identifier == uuid5(NAMESPACE_URL, f"infrawatch:drift:{second[0].id}")
    told = json.loads(event)
    assert (told["kind"], told["id"], told["snapshot_id"]) == ("drift", str(identifier), str(second[0].id))
    assert sum(told["counts"].values()) == 31
    assert len(told["changes"]) == 20
    ranks = [list(Outcome).index(Outcome(change["severity"])) for change in told["changes"]]
    assert ranks == sorted(ranks, reverse=True)
    assert told["severity"] == told["changes"][0]["severity"]
    assert told["changes"][0]["sentence"]
    assert await world.fetch("SELECT host_id, look_at = '-infinity' FROM notice_hosts") == [("host-a", True)]


async def test_nobody_is_told_of_what_is_less_than_they_want_to_know(
    world: World, make_replica: Callable[..., Awaitable[Replica]]
) -> None:
    replica = await make_replica(POLICY._replace(notify_severity=Outcome.CRITICAL))
    changed = replace(BEFORE, env_vars={"LANG": "de"})
    await replica.write(taken("host-a", NOW, BEFORE), taken("host-a", NOW + MINUTE, changed))
    assert await world.fetch("SELECT severity FROM drift_changes") == [("info",)]
    assert await world.fetch("SELECT count(*) FROM notices") == [(0,)]
    assert len(await events(world)) == 1


async def test_what_is_found_long_after_it_happened_is_late(world: World, replica: Replica) -> None:
    await replica.write(taken("host-a", NOW, BEFORE))
    await replica.write(taken("host-a", NOW + MINUTE, AFTER), found_at=NOW + timedelta(hours=2))
    assert await world.fetch("SELECT late FROM drift_changes") == [(True,)]


def reader() -> SnapshotReader:
    return SnapshotReader(Limits(max_bytes=10_000, env_vars=100, packages=100))


def read(at: datetime, text: str) -> tuple[Snapshot, Any]:
    """A snapshot out of a body that an agent writes in a way of its own."""
    value = text.replace("ID", str(uuid4())).replace("AT", at.isoformat()).encode()
    snapshot = reader().read(value)
    assert isinstance(snapshot, Snapshot), snapshot
    return snapshot, FakeMessage(value, offset=at.minute)


BODY = """{"id":"ID","host_id":"host-a","timestamp":"AT","os_info":"Debian","kernel":"6.1","packages":%s,"env_vars":%s,\
"host":{"name":"host-a","tags":{}},"agent":{"instance":"5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11","sequence":1}}"""


async def test_key_order_white_space_and_the_form_of_numbers_are_no_drift_and_each_true_change_is_told_once(
    world: World, replica: Replica
) -> None:
    one = BODY % ('{"dpkg":{"a":"1.0","b":"2"},"rpm":{"c":"1"}}', '{"X":"1","Y":"ü"}')
    reordered = BODY % ('{ "rpm" : {"c":"1"},\n"dpkg":{"b":"2","a":"1.0"}}', '{"Y":"\\u00fc","X":"1"}')
    numbers = one.replace('"agent"', '"load":[1.0,1e0,10E-1],"agent"')
    other = BODY % ('{"dpkg":{"a":"1.00","b":"2"},"rpm":{"c":"1"}}', '{"X":"1","Y":"ü"}')
    await replica.write(*(read(NOW + n * MINUTE, text) for n, text in enumerate((one, reordered, numbers, one))))
    assert await world.fetch("SELECT count(*) FROM drift_changes") == [(0,)]
    assert await world.fetch("SELECT confirmed_at FROM snapshots") == [(NOW + 3 * MINUTE,)]
    flaps = [read(NOW + n * MINUTE, text) for n, text in ((4, other), (5, reordered), (6, other))]
    for _ in range(2):
        await replica.write(*flaps)
    assert await world.fetch("SELECT before, after FROM drift_changes ORDER BY at") == [
        ('"1.0"', '"1.00"'),
        ('"1.00"', '"1.0"'),
        ('"1.0"', '"1.00"'),
    ]
    assert len(await events(world)) == 3
