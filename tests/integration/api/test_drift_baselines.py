"""What hosts may have: accepted by name, listed, ended."""

import csv
from typing import Any
from uuid import uuid4

from alert_rules import fields_of
from fleet import add_change, add_host, add_snapshot
from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.facts import KERNEL_NAME, Fact
from triaging import BASELINES, HOUR, Operator

SECRET = "hunter2-hunter2"


async def test_what_a_host_has_now_is_accepted_by_name(operator: Operator) -> None:
    world, now = operator.world, operator.world.clock.now
    await add_host(world, "web-1")
    openssl, vim = (Fact(Category.PACKAGE, "dpkg", name, "3.0") for name in ("openssl", "vim"))
    kernel = Fact(Category.KERNEL, "", KERNEL_NAME, "6.1")
    await add_snapshot(world, "web-1", now - 2 * HOUR, openssl, vim)
    await add_snapshot(world, "web-1", now - HOUR, openssl._replace(value="3.1"), kernel)

    baseline = await operator.accepted(expires_at=operator.moment(1))

    assert baseline == {
        "id": baseline["id"],
        "host_id": "web-1",
        "category": "package",
        "source": "dpkg",
        "name": "openssl",
        "value": "3.1",
        "in_force": True,
        "reason": "pinned",
        "change_id": None,
        "accepted_at": operator.moment(),
        "accepted_by": operator.email,
        "expires_at": operator.moment(1),
        "ended_at": None,
        "ended_by": None,
    }
    assert (await operator.accepted(name="vim"))["value"] is None
    accepted = await operator.accepted(category="kernel", source="", name="")
    assert (accepted["name"], accepted["value"]) == (KERNEL_NAME, "6.1")
    world.clock.advance(1)
    await operator.accepted()
    assert [one["in_force"] for one in await operator.baselines() if one["name"] == "openssl"] == [True, False]
    assert len(await world.audit("drift_baseline.created")) == 4


async def test_a_baseline_of_now_stays_when_an_earlier_change_is_accepted(operator: Operator) -> None:
    world, now = operator.world, operator.world.clock.now
    await add_host(world, "web-1")
    first = await add_change(world, "web-1", before="1", after="2", at=now - 2 * HOUR)
    await add_change(world, "web-1", before="2", after="3", at=now - HOUR)
    await add_snapshot(world, "web-1", now - HOUR, Fact(Category.PACKAGE, "dpkg", "openssl", "3"))
    await operator.accepted()

    await operator.judged(first, "accepted")

    assert await operator.values() == ["3"]


async def test_no_secret_is_shown_or_noted(operator: Operator) -> None:
    world = operator.world
    await add_host(world, "web-1")
    await add_snapshot(world, "web-1", world.clock.now, Fact(Category.ENV, "", "DB_PASSWORD", SECRET))
    change = await add_change(world, "web-1", "DB_PASSWORD", "old" + SECRET, SECRET, category="env")
    await operator.judged(change, "accepted")

    baseline = await operator.accepted(category="env", source="", name="DB_PASSWORD")

    assert baseline["value"] == "(hidden)"
    assert [one["value"] for one in await operator.baselines()] == ["(hidden)", "(hidden)"]
    assert await world.admin.fetchval("SELECT DISTINCT value FROM drift_baselines") == SECRET
    assert not await world.admin.fetch("SELECT FROM audit_log WHERE detail::text LIKE '%hunter2%'")


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"host_id": "gone"}, ["host_id"]),
    ({"host_id": "a b"}, ["host_id"]),
    ({"category": "source", "name": ""}, ["category"]),
    ({"source": ""}, ["source"]),
    ({"name": ""}, ["name"]),
    ({"source": "", "name": ""}, ["name", "source"]),
    ({"category": "env"}, ["source"]),
    ({"category": "os", "source": ""}, ["name"]),
    ({"name": "opensssl"}, ["name"]),
    ({"expires_at": "2026-01-01T00:00:00Z"}, ["expires_at"]),
    ({"reason": ""}, ["reason"]),
    ({"name": "a\0"}, ["name"]),
]


async def test_what_cannot_be_accepted_is_refused_in_a_sentence(operator: Operator) -> None:
    world = operator.world
    for host_id in ("web-1", "new"):
        await add_host(world, host_id)
    await add_snapshot(world, "web-1", world.clock.now, Fact(Category.PACKAGE, "dpkg", "openssl", "3"))

    for change, fields in WRONG:
        assert fields_of(await operator.accept(**change)) == fields, change
    answer = await operator.accept("new")
    assert answer.status_code == 409
    assert "no snapshot" in answer.json()["detail"]
    assert await operator.baselines() == []


async def test_a_baseline_is_ended_once(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1")
    made = (await operator.judged(change, "accepted"))["baseline"]

    for _ in range(2):
        assert (await operator.end(made)).status_code == 204

    assert await operator.values() == []
    assert len(await world.audit("drift_baseline.ended")) == 1
    assert (await operator.end(str(uuid4()))).status_code == 404


async def test_baselines_are_listed_in_pages_by_host_and_by_whether_they_count(operator: Operator) -> None:
    world = operator.world
    made = []
    for number in range(6):
        change = await add_change(world, f"web-{number % 2}", f"p{number}")
        made.append((await operator.judged(change, "accepted"))["baseline"])
        world.clock.advance(number % 3)
    await operator.end(made[0])

    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = (await world.get(BASELINES, operator.token, params=query)).json()
        seen += [(one["accepted_at"], one["id"]) for one in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break

    assert seen == sorted(seen, reverse=True)
    assert sorted(one for _, one in seen) == sorted(made)
    table = await world.get(f"{BASELINES}?format=csv&host_id=web-0", operator.token)
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [row["id"] for row in rows] == [one["id"] for one in await operator.baselines(host_id="web-0")]
    assert [row["in_force"] for row in rows].count("true") == 2
    cut = await world.get(f"{BASELINES}?format=csv&limit=2", operator.token)
    assert (cut.headers["x-truncated"], len(cut.text.splitlines())) == ("true", 3)
    assert {one["id"] for one in await operator.baselines(host_id="web-0")} == {made[0], made[2], made[4]}
    assert {one["id"] for one in await operator.baselines(host_id="web-0", in_force=True)} == {made[2], made[4]}
    assert fields_of(await world.get(f"{BASELINES}?host_id=a b", operator.token)) == ["host_id"]
