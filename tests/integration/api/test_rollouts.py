"""How changes spread over the fleet, and who had a package."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asking import ask, pages, table
from drifting import history
from fleet import add_host
from infrawatch_common.drift.content import Content

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, 10, tzinfo=UTC)
SPAN: dict[str, Any] = {"from": "2026-11-02T00:00:00Z", "to": "2026-11-08T00:00:00Z"}
ROLLOUTS, HOSTS, PACKAGES = "/api/v1/drift/rollouts", "/api/v1/drift/rollouts/hosts", "/api/v1/drift/packages"


def content(curl: str | None, *, env: Mapping[str, str] | None = None, kernel: str = "6.12.1") -> Content:
    packages = {"curl": curl} if curl else {}
    return Content("Debian GNU/Linux 13", kernel, {"dpkg": {"base-files": "13", **packages}}, env or {})


async def sent(world: Any, database: Any, host_id: str, *versions: str | None, tags: Mapping[str, str] = {}) -> None:
    """A host that had these versions of curl, a day each."""
    await add_host(world, host_id, tags=tags)
    await history(database, host_id, [(START + number * DAY, content(one)) for number, one in enumerate(versions)])


@pytest.fixture
async def fleet(world: Any, database: Any) -> Any:
    """A rollout from 8.0 to 8.1, with a host in each state, and one that another rollout took further."""
    await sent(world, database, "done-1", "8.0", "8.1", tags={"env": "prod"})
    await sent(world, database, "done-2", "8.0", "8.0", "8.1")
    await sent(world, database, "left-1", "8.0", tags={"env": "prod"})
    await sent(world, database, "back-1", "8.0", "8.1", "8.0")
    await sent(world, database, "on-1", "8.0", "8.1", "8.2")
    await sent(world, database, "off-1", "8.0", "8.1", None)
    await sent(world, database, "born-1", "8.1")
    await sent(world, database, "none-1", None)
    return world


async def rollout(world: Any, before: str, after: str, **query: Any) -> Any:
    items = (await ask(world, ROLLOUTS, **{**SPAN, **query}))["items"]
    [found] = [item for item in items if (item["before"], item["after"]) == (before, after)]
    return found


def tally(item: Any) -> tuple[int, ...]:
    return item["done"], item["left"], item["reverted"], item["moved_on"], item["already"]


async def test_a_rollout_says_how_many_hosts_are_where(fleet: Any) -> None:
    found = await rollout(fleet, "8.0", "8.1")

    assert tally(found) == (2, 1, 1, 2, 1)
    assert (found["direction"], found["name"], found["source"]) == ("upgraded", "curl", "dpkg")
    assert (found["first_at"], found["last_at"]) == ("2026-11-02T10:00:00Z", "2026-11-03T10:00:00Z")


async def test_downgrades_and_further_upgrades_are_rollouts_of_their_own(fleet: Any) -> None:
    back, further = await rollout(fleet, "8.1", "8.0"), await rollout(fleet, "8.1", "8.2")

    assert (tally(back), back["direction"]) == ((1, 3, 0, 0, 1), "downgraded")
    assert tally(further) == (1, 3, 0, 0, 0)


async def test_a_rollout_is_told_as_it_was_at_the_end_of_the_time(fleet: Any) -> None:
    found = await rollout(fleet, "8.0", "8.1", to="2026-11-03T00:00:00Z")

    assert tally(found) == (4, 2, 0, 0, 1)


async def test_hosts_that_changed_before_the_time_did_not_change_in_it(fleet: Any) -> None:
    found = await rollout(fleet, "8.0", "8.1", **{"from": "2026-11-02T12:00:00Z"})

    assert tally(found) == (1, 2, 0, 0, 2)


async def test_the_hosts_of_a_rollout_are_told_with_their_states(fleet: Any) -> None:
    which = {**SPAN, "rollout": (await rollout(fleet, "8.0", "8.1"))["id"]}
    items = (await ask(fleet, HOSTS, **which))["items"]

    assert {item["host_id"]: (item["state"], item["value"]) for item in items} == {
        "back-1": ("reverted", "8.0"),
        "born-1": ("already", "8.1"),
        "done-1": ("done", "8.1"),
        "done-2": ("done", "8.1"),
        "left-1": ("left", "8.0"),
        "off-1": ("moved_on", None),
        "on-1": ("moved_on", "8.2"),
    }
    assert [item["host_id"] for item in items] == sorted(item["host_id"] for item in items)
    assert {item["host_id"]: item["changed_at"] for item in items}["done-2"] == "2026-11-03T10:00:00Z"
    assert {item["changed_at"] for item in items if item["state"] in {"left", "already"}} == {None}
    assert [item["host_id"] for item in (await ask(fleet, HOSTS, **which, state="left"))["items"]] == ["left-1"]
    assert await pages(fleet, HOSTS, **which) == items
    assert [row["host_id"] for row in await table(fleet, HOSTS, **which)] == [item["host_id"] for item in items]


async def test_rollouts_come_in_pages_each_once_the_latest_first(fleet: Any) -> None:
    whole = (await ask(fleet, ROLLOUTS, **SPAN))["items"]

    assert len(whole) == 3
    assert [item["last_at"] for item in whole] == sorted((item["last_at"] for item in whole), reverse=True)
    assert await pages(fleet, ROLLOUTS, **SPAN) == whole
    assert [row["id"] for row in await table(fleet, ROLLOUTS, **SPAN)] == [item["id"] for item in whole]


async def test_a_file_of_rollouts_longer_than_a_page_has_every_row(make_world: Any, database: Any) -> None:
    world = await make_world(page_size=1, page_size_max=1)
    await sent(world, database, "a", "1", "2", "3")

    found = await table(world, ROLLOUTS, **SPAN)

    assert [row["after"] for row in found] == ["3", "2"]
    assert len(await table(world, PACKAGES, name="curl")) == 1


async def test_rollouts_can_be_narrowed(fleet: Any) -> None:
    assert (await ask(fleet, ROLLOUTS, **SPAN, name="base-files"))["items"] == []
    assert (await ask(fleet, ROLLOUTS, **SPAN, source="rpm"))["items"] == []
    assert (await ask(fleet, ROLLOUTS, **SPAN, category="kernel"))["items"] == []
    token = await fleet.signed_in("viewer")
    assert (await fleet.get(ROLLOUTS, token, params={"category": "source"})).json()["errors"] == [
        {"field": "category", "message": "should be os, kernel, package or env"}
    ]
    assert len((await ask(fleet, ROLLOUTS, **SPAN, name="curl", source="dpkg", category="package"))["items"]) == 3
    assert tally(await rollout(fleet, "8.0", "8.1", tag="env:prod")) == (1, 1, 0, 0, 0)


async def test_what_ignore_rules_hide_is_no_rollout(fleet: Any) -> None:
    rule = await fleet.admin.fetchval(
        "INSERT INTO drift_ignores (sources, names, selector, reason) VALUES ('{}', '{curl}', '{}', 'x') RETURNING id"
    )
    await fleet.admin.execute("UPDATE drift_changes SET ignored_by = $1", rule)

    assert (await ask(fleet, ROLLOUTS, **SPAN))["items"] == []


async def test_retired_hosts_are_in_no_rollout(fleet: Any) -> None:
    await fleet.admin.execute("UPDATE hosts SET retired = $1 WHERE id = 'done-1'", START + 3 * DAY)

    assert tally(await rollout(fleet, "8.0", "8.1"))[0] == 1


async def test_kernels_and_variables_roll_out_too_and_secrets_stay_hidden(world: Any, database: Any) -> None:
    await add_host(world, "a")
    states = [content("8.0", env={"TOKEN": f"hmac:{n}"}, kernel=f"6.12.{n}") for n in range(2)]
    await history(database, "a", [(START + number * DAY, one) for number, one in enumerate(states)])

    items = (await ask(world, ROLLOUTS, **SPAN))["items"]

    assert {(item["category"], item["before"], item["after"], item["done"]) for item in items} == {
        ("kernel", "6.12.0", "6.12.1", 1),
        ("env", "(hidden)", "(hidden)", 1),
    }
    [token] = [item for item in items if item["category"] == "env"]
    [host] = (await ask(world, HOSTS, **SPAN, rollout=token["id"]))["items"]
    assert (host["state"], host["value"]) == ("done", "(hidden)")


@pytest.mark.parametrize("which", ["x", "1-2-3", "999999-999998"])
async def test_what_is_no_rollout_is_refused(fleet: Any, which: str) -> None:
    answer = await fleet.get(HOSTS, await fleet.signed_in("viewer"), params={**SPAN, "rollout": which})

    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "rollout", "message": "should be the id of a rollout"}]


async def test_facts_of_two_things_and_one_fact_alone_are_no_rollout(fleet: Any) -> None:
    ids = await fleet.admin.fetchval("SELECT array_agg(DISTINCT id) FROM facts WHERE name = 'kernel' OR value = '8.0'")
    token = await fleet.signed_in("viewer")

    for which in (f"{ids[0]}-{ids[1]}", f"{ids[0]}-{ids[0]}"):
        assert (await fleet.get(HOSTS, token, params={"rollout": which})).status_code == 400


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"from": "2026-11-08T00:00:00Z", "to": "2026-11-02T00:00:00Z"}, "should be earlier than to"),
        ({"from": "2020-11-08T00:00:00Z"}, "should be at most 400 days before to"),
    ],
)
async def test_a_wrong_time_is_refused(world: Any, query: dict[str, str], message: str) -> None:
    answer = await world.get(ROLLOUTS, await world.signed_in("viewer"), params=query)

    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "from", "message": message}]


async def holders(world: Any, **query: Any) -> list[tuple[str, str, bool]]:
    items = (await ask(world, PACKAGES, name="curl", **query))["items"]
    return [(item["host_id"], item["version"], item["comparable"]) for item in items]


async def test_who_has_a_package_and_since_when(fleet: Any) -> None:
    items = (await ask(fleet, PACKAGES, name="curl"))["items"]

    assert [(item["host_id"], item["version"]) for item in items] == [
        ("back-1", "8.0"),
        ("born-1", "8.1"),
        ("done-1", "8.1"),
        ("done-2", "8.1"),
        ("left-1", "8.0"),
        ("on-1", "8.2"),
    ]
    since = {item["host_id"]: item["since"] for item in items}
    assert (since["left-1"], since["done-2"]) == ("2026-11-01T10:00:00Z", "2026-11-03T10:00:00Z")
    assert since["back-1"] == "2026-11-03T10:00:00Z"


async def test_who_had_a_package_then(fleet: Any) -> None:
    at = "2026-11-02T11:00:00Z"

    assert ("off-1", "8.1", True) in await holders(fleet, at=at)
    assert {item["since"] for item in (await ask(fleet, PACKAGES, name="curl", at=at, tag="env:prod"))["items"]} == {
        "2026-11-01T10:00:00Z",
        "2026-11-02T10:00:00Z",
    }
    assert await holders(fleet, at="2026-10-31T00:00:00Z") == []


async def test_who_has_a_version_in_a_range(fleet: Any) -> None:
    assert await holders(fleet, min_version="8.1", max_version="8.1", tag="env:prod") == [("done-1", "8.1", True)]
    assert [host for host, _, _ in await holders(fleet, before_version="8.1")] == ["back-1", "left-1"]
    assert [host for host, _, _ in await holders(fleet, min_version="8.2")] == ["on-1"]
    assert await holders(fleet, min_version="9") == []


async def test_versions_that_cannot_be_compared_are_told_as_such(fleet: Any, database: Any) -> None:
    await sent(fleet, database, "odd-1", "no version")

    assert ("odd-1", "no version", True) in await holders(fleet)
    assert await holders(fleet, min_version="9") == [("odd-1", "no version", False)]


async def test_a_host_is_listed_for_each_source_that_has_the_package(world: Any, database: Any) -> None:
    await add_host(world, "a")
    sources = {f"python:/{name}": {"pip": "1.0"} for name in "cab"}
    await history(database, "a", [(START, Content("Debian", "6", sources, {}))])

    items = (await ask(world, PACKAGES, name="pip"))["items"]

    assert [item["source"] for item in items] == ["python:/a", "python:/b", "python:/c"]
    assert await pages(world, PACKAGES, name="pip") == items
    assert [row["source"] for row in await table(world, PACKAGES, name="pip")] == [item["source"] for item in items]
    assert [one["source"] for one in (await ask(world, PACKAGES, name="pip", source="python:/b"))["items"]] == [
        "python:/b"
    ]


async def test_a_package_that_nobody_ever_had_gives_an_empty_list(world: Any) -> None:
    assert await ask(world, PACKAGES, name="curl") == {"items": [], "next_cursor": None}
    assert await table(world, PACKAGES, name="curl") == []


async def test_hostile_names_change_nothing(world: Any, database: Any) -> None:
    names: Sequence[str] = ["=cmd|'/c calc'!A1", "'; DROP TABLE facts; --", "%_\\", "\u202eevil\n"]
    await add_host(world, "a")
    await history(database, "a", [(START, Content("x", "y", {"dpkg": dict.fromkeys(names, "1.0")}, {}))])

    for name in names:
        assert [item["name"] for item in (await ask(world, PACKAGES, name=name))["items"]] == [name]
    [row] = await table(world, PACKAGES, name=names[0])
    assert row["name"] == "'" + names[0]
