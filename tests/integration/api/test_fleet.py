"""The fleet compared, as of any time."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asking import ask, pages, table
from drifting import history
from fleet import add_host
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.facts import subject

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, 10, tzinfo=UTC)
FLEET, DEVIATIONS, HOSTS = "/api/v1/drift/fleet", "/api/v1/drift/fleet/deviations", "/api/v1/drift/fleet/hosts"
CURL = Key(Category.PACKAGE, "dpkg", "curl")


def content(
    packages: Mapping[str, str] | None = None, *, env: Mapping[str, str] | None = None, **sources: Mapping[str, str]
) -> Content:
    """What a snapshot says: packages of dpkg, and of other sources by their names."""
    dpkg = {"dpkg": packages} if packages is not None else {}
    return Content("Debian GNU/Linux 13", "6.12.1", {**dpkg, **sources}, env or {})


@pytest.fixture
def configure(database: Any) -> Any:
    """Sends snapshots of a host through the store of the drift service."""

    async def send(host_id: str, states: Sequence[tuple[datetime, Content]]) -> None:
        await history(database, host_id, states)

    return send


@pytest.fixture
async def fleet(world: Any, configure: Any) -> Any:
    """Two groups and a host of none. On the third day all but web-2 upgraded curl; db-1 has bash besides; a host has no
    snapshot, and one is retired.
    """
    old, new = content({"curl": "8.0-1"}, env={"TZ": "UTC"}), content({"curl": "8.1-1"}, env={"TZ": "UTC"})
    for name in ("web-1", "web-2", "web-3", "db-1", "db-2", "lone-1", "mute-1", "gone-1"):
        group = name.partition("-")[0]
        tags = {"role": group} if group in {"web", "db"} else {}
        await add_host(world, name, tags=tags, retired=START + 5 * DAY if name == "gone-1" else None)
    for name in ("web-1", "web-3", "db-2", "lone-1", "gone-1"):
        await configure(name, [(START, old), (START + 2 * DAY, new)])
    await configure("web-2", [(START, old)])
    both = content({"curl": "8.1-1", "bash": "5.2"}, env={"TZ": "UTC"})
    await configure("db-1", [(START, old), (START + 2 * DAY, new), (START + 3 * DAY, both)])
    return world


async def accept(world: Any, host_id: str, key: Key, value: str | None, **columns: Any) -> None:
    email = await world.add_user("operator")
    await world.admin.execute(
        "INSERT INTO drift_baselines (host_id, category, source, name, subject, value, reason, accepted_at,"
        " accepted_by, expires_at, ended_at)"
        " SELECT $1, $2, $3, $4, $5, $6, 'pinned', $7, id, $8, $9 FROM users WHERE email = $10",
        host_id,
        *key,
        subject(key),
        value,
        columns.get("at", START),
        columns.get("expires_at"),
        columns.get("ended_at"),
        email,
    )


async def ignore(world: Any, name: str, **selector: str) -> None:
    await world.admin.execute(
        "INSERT INTO drift_ignores (sources, names, selector, reason) VALUES ('{}', $1, $2, 'noise')",
        [name],
        json.dumps(selector),
    )


def numbers(item: Any) -> tuple[Any, ...]:
    return item["name"], item["majority"], item["hosts"], item["having"], item["deviating"], item["values"]


async def test_most_hosts_and_those_that_deviate_are_counted(fleet: Any) -> None:
    view = await ask(fleet, FLEET)

    assert [numbers(item) for item in view["items"]] == [
        ("bash", None, 6, 5, 1, 2),
        ("curl", "8.1-1", 6, 5, 1, 2),
    ]
    assert (view["hosts"], view["hosts_without_snapshot"]) == (6, 1)
    assert {item["decided_by"] for item in view["items"]} == {"count"}


async def test_groups_are_compared_within_themselves(fleet: Any) -> None:
    items = (await ask(fleet, FLEET, group_by="role"))["items"]

    assert [(item["group"], *numbers(item)) for item in items] == [
        ("db", "bash", "5.2", 2, 1, 1, 2),
        ("web", "curl", "8.1-1", 3, 2, 1, 2),
    ]
    assert items[0]["decided_by"] == "presence"


async def test_all_subjects_come_when_they_are_asked_for(fleet: Any) -> None:
    items = (await ask(fleet, FLEET, deviating="false"))["items"]

    assert [item["name"] for item in items] == ["bash", "curl", "os_info", "kernel", "TZ"]
    assert [item["name"] for item in (await ask(fleet, FLEET, deviating="false", category="env"))["items"]] == ["TZ"]


async def test_the_fleet_is_what_it_was_at_the_time_that_is_asked_for(fleet: Any) -> None:
    before = await ask(fleet, FLEET, at="2026-11-02T10:00:00Z", deviating="false", name="curl")
    earlier = await ask(fleet, FLEET, at="2026-10-01T00:00:00Z")

    assert [numbers(item) for item in before["items"]] == [("curl", "8.0-1", 7, 7, 0, 1)]
    assert (earlier["items"], earlier["hosts"], earlier["hosts_without_snapshot"]) == ([], 0, 8)
    assert (await ask(fleet, FLEET, at="2026-11-02T10:00:00Z"))["items"] == []


async def test_only_hosts_with_the_tags_are_compared(fleet: Any) -> None:
    items = (await ask(fleet, FLEET, tag="role:web"))["items"]

    assert [numbers(item) for item in items] == [("curl", "8.1-1", 3, 2, 1, 2)]


async def test_what_is_accepted_does_not_deviate_while_that_is_in_force(fleet: Any) -> None:
    await accept(fleet, "web-2", CURL, "8.0-1", at=START + 3 * DAY, expires_at=START + 6 * DAY)

    [item] = (await ask(fleet, FLEET, name="curl", at="2026-11-05T10:00:00Z", deviating="false"))["items"]
    assert (item["deviating"], item["accepted"]) == (0, 1)
    for at in ("2026-11-03T11:00:00Z", "2026-11-07T10:00:00Z"):
        [item] = (await ask(fleet, FLEET, name="curl", at=at))["items"]
        assert (item["deviating"], item["accepted"]) == (1, 0)


async def test_an_acceptance_that_has_ended_or_is_of_another_value_is_none(fleet: Any) -> None:
    await accept(fleet, "web-2", CURL, "7.9-1")
    await accept(fleet, "web-2", CURL, "8.0-1", ended_at=START + DAY)

    assert [item["accepted"] for item in (await ask(fleet, FLEET, name="curl"))["items"]] == [0]


async def test_accepted_absence_is_accepted(fleet: Any) -> None:
    bash = Key(Category.PACKAGE, "dpkg", "bash")
    await accept(fleet, "db-2", bash, None)

    assert (await ask(fleet, FLEET, group_by="role", name="bash"))["items"] == []


async def test_ignore_rules_hide_subjects_on_the_hosts_that_they_are_for(fleet: Any) -> None:
    await ignore(fleet, "ba*", role="db")
    assert [item["name"] for item in (await ask(fleet, FLEET))["items"]] == ["curl"]
    assert {one["host_id"] for one in (await ask(fleet, DEVIATIONS))["items"]} == {"web-2"}

    await ignore(fleet, "curl")
    assert (await ask(fleet, FLEET))["items"] == []
    assert (await ask(fleet, DEVIATIONS))["items"] == []


async def test_secret_values_are_not_shown(fleet: Any, configure: Any) -> None:
    for name, secret in (("web-1", "hmac:1"), ("web-3", "hmac:2"), ("db-1", "hmac:2")):
        state = content({"curl": "8.1-1"}, env={"TZ": "UTC", "DB_PASSWORD": secret})
        await configure(name, [(START + 9 * DAY, state)])

    view, deviations = (
        await ask(fleet, FLEET, category="env"),
        await ask(fleet, DEVIATIONS, category="env", tag="role:web"),
    )

    assert [(item["name"], item["values"]) for item in view["items"]] == [("DB_PASSWORD", 3)]
    assert {item["value"] for item in deviations["items"]} <= {None, "(hidden)"}
    assert "hmac" not in json.dumps([view, deviations])


async def test_hosts_without_a_source_do_not_lack_its_packages(fleet: Any, configure: Any) -> None:
    await add_host(fleet, "redhat-1")
    await configure("redhat-1", [(START, content(None, rpm={"curl": "8.0-1.el9"}, env={"TZ": "UTC"}))])

    items = (await ask(fleet, FLEET, deviating="false", name="curl"))["items"]

    assert {(item["source"], item["hosts"], item["deviating"]) for item in items} == {("dpkg", 6, 1), ("rpm", 1, 0)}
    assert {one["host_id"] for one in (await ask(fleet, DEVIATIONS, name="curl"))["items"]} == {"web-2"}


async def test_pages_show_each_subject_once_and_are_all_of_the_time_of_the_first(fleet: Any, configure: Any) -> None:
    whole = await ask(fleet, FLEET, deviating="false")
    first = await ask(fleet, FLEET, deviating="false", limit=2)
    fleet.clock.advance(3600)
    await configure("mute-1", [(fleet.clock.now, content({"zsh": "5.9"}))])

    rest = await ask(fleet, FLEET, deviating="false", limit=100, cursor=first["next_cursor"])

    assert first["items"] + rest["items"] == whole["items"]
    assert rest["at"] == first["at"] == whole["at"]


async def test_deviations_say_who_has_what_since_when(fleet: Any) -> None:
    items = (await ask(fleet, DEVIATIONS))["items"]

    assert [(one["host_id"], one["name"], one["value"], one["majority"], one["since"]) for one in items] == [
        ("db-1", "bash", "5.2", None, "2026-11-04T10:00:00Z"),
        ("web-2", "curl", "8.0-1", "8.1-1", "2026-11-01T10:00:00Z"),
    ]
    assert {one["accepted"] for one in items} == {False}


async def test_a_value_that_came_with_its_whole_source_is_there_since_then(fleet: Any, configure: Any) -> None:
    states = [
        content({"curl": "8.1-1"}),
        content({"curl": "8.1-1"}, rpm={"curl": "7"}),
        content({"curl": "8.1-1"}, rpm={"curl": "7", "wget": "1"}),
    ]
    await configure("mute-1", [(START + n * DAY, state) for n, state in enumerate(states)])
    await configure("lone-1", [(START + 3 * DAY, content({"curl": "8.1-1"}, rpm={"curl": "8", "wget": "1"}))])

    [one] = (await ask(fleet, DEVIATIONS, source="rpm", name="curl"))["items"]

    assert (one["host_id"], one["value"], one["majority"], one["since"]) == ("mute-1", "7", "8", "2026-11-02T10:00:00Z")


async def test_deviations_say_by_whom_and_until_when_they_are_accepted(fleet: Any) -> None:
    await accept(fleet, "web-2", CURL, "8.0-1", expires_at=datetime(2200, 1, 1, tzinfo=UTC))

    [one] = (await ask(fleet, DEVIATIONS, accepted="true"))["items"]

    assert (one["host_id"], one["accepted_until"], one["accepted_reason"]) == (
        "web-2",
        "2200-01-01T00:00:00Z",
        "pinned",
    )
    assert one["accepted_by"].startswith("operator-")
    assert [one["host_id"] for one in (await ask(fleet, DEVIATIONS, accepted="false"))["items"]] == ["db-1"]


async def test_deviations_can_be_narrowed_to_host_and_group(fleet: Any, configure: Any) -> None:
    async def hosts(**query: Any) -> list[str]:
        return [one["host_id"] for one in (await ask(fleet, DEVIATIONS, group_by="role", **query))["items"]]

    await configure("mute-1", [(START, content({"curl": "8.0-1"}, env={"TZ": "UTC"}))])

    assert await hosts() == ["db-2", "web-2", "mute-1"]
    assert await hosts(group="web") == ["web-2"]
    assert await hosts(grouped="false") == ["mute-1"]
    assert await hosts(host_id="db-2") == ["db-2"]
    assert await hosts(host_id="db-1") == []


async def test_deviations_come_in_pages_each_once(fleet: Any, configure: Any) -> None:
    for number in range(6):
        await add_host(fleet, f"many-{number}")
        await configure(f"many-{number}", [(START, content({"curl": f"8.0-{number % 2}", "wget": "1"}))])

    whole = (await ask(fleet, DEVIATIONS))["items"]

    assert len(whole) > 10
    assert await pages(fleet, DEVIATIONS) == whole
    assert await pages(fleet, DEVIATIONS, host_id="many-1") == [one for one in whole if one["host_id"] == "many-1"]
    view = (await ask(fleet, FLEET))["items"]
    assert sum(item["deviating"] for item in view) == len(whole)


async def test_every_list_can_be_had_as_a_file(fleet: Any) -> None:
    assert [row["name"] for row in await table(fleet, FLEET)] == ["bash", "curl"]
    assert [row["host_id"] for row in await table(fleet, DEVIATIONS)] == ["db-1", "web-2"]
    assert [row["host_id"] for row in await table(fleet, HOSTS)] == [
        item["host_id"] for item in (await ask(fleet, HOSTS))["items"]
    ]


@pytest.mark.parametrize("accepted", [{}, {"accepted": "false"}, {"host_id": "web-2"}])
async def test_a_file_longer_than_a_page_has_every_row(
    make_world: Any, accepted: dict[str, str], configure: Any
) -> None:
    world = await make_world(page_size_max=2, page_size=2)
    for number in range(3):
        await add_host(world, f"db-{number}")
        await configure(f"db-{number}", [(START, content({"base": "1"}))])
    await add_host(world, "web-2")
    await configure("web-2", [(START, content({"base": "1"} | {f"p{n}": "1" for n in range(5)}))])

    assert [row["name"] for row in await table(world, DEVIATIONS, **accepted)] == ["p0", "p1", "p2", "p3", "p4"]
    if not accepted:
        assert len(await table(world, HOSTS)) == 4


async def test_the_configuration_of_every_host_as_of_a_time(fleet: Any) -> None:
    items = {item["host_id"]: item for item in (await ask(fleet, HOSTS, at="2026-11-03T12:00:00Z"))["items"]}

    assert list(items) == sorted(items)
    assert (items["web-1"]["since"], items["web-1"]["packages"]) == ("2026-11-03T10:00:00Z", 1)
    assert items["web-2"]["kernel"] == "6.12.1"
    assert items["web-2"]["since"] == "2026-11-01T10:00:00Z"
    assert (items["mute-1"]["snapshot_id"], items["mute-1"]["packages"]) == (None, None)
    assert "gone-1" in items
    assert "gone-1" not in {item["host_id"] for item in (await ask(fleet, HOSTS))["items"]}


async def test_hosts_can_be_narrowed_to_those_with_or_without_snapshot(fleet: Any) -> None:
    assert [item["host_id"] for item in (await ask(fleet, HOSTS, reported="false"))["items"]] == ["mute-1"]
    assert len((await ask(fleet, HOSTS, reported="true"))["items"]) == 6
    assert await pages(fleet, HOSTS) == (await ask(fleet, HOSTS))["items"]


async def test_more_than_can_be_compared_is_refused_with_a_reason(make_world: Any, configure: Any) -> None:
    world = await make_world(fleet_hosts_max=2, fleet_groups_max=1, fleet_values_max=3)
    token = await world.signed_in("viewer")
    for name in ("a", "b"):
        await add_host(world, name, tags={"name": name})
        await configure(name, [(START, content({"curl": name}))])

    async def refused(**query: Any) -> list[str]:
        answer = await world.get(FLEET, token, params=query)
        assert answer.status_code == 400
        return [f"{error['field']}: {error['message']}" for error in answer.json()["errors"]]

    assert await refused(group_by="name") == ["group_by: gives more than 1 groups; compare fewer hosts at a time"]
    assert await refused() == ["tag: gives more than 3 different values; compare fewer hosts at a time"]
    await add_host(world, "c")
    assert await refused() == ["tag: gives more than 2 hosts; compare fewer hosts at a time"]
    assert await refused(at="yesterday") == ["at: should be an RFC 3339 time with zone, such as 2026-11-22T10:00:00Z"]
    assert await refused(source="\0") == ["source: must not contain the character NUL"]
