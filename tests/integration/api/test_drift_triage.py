"""Verdicts on changes, one at a time and many, and the baselines that they make and end."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

from alert_rules import fields_of
from fleet import add_change, add_host, add_snapshot
from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.facts import Fact
from triaging import DRIFT, HOUR, Operator


async def told(world: Any, change: str) -> list[tuple[Any, ...]]:
    """What the change itself says, then its history."""
    columns = "verdict, {}reason, {}at, {}by, expires_at"
    rows = await world.admin.fetch(
        f"SELECT {columns.format(*['verdict_'] * 3)} FROM drift_changes WHERE id = $1", UUID(change)
    )
    rows += await world.admin.fetch(
        f"SELECT {columns.format('', '', '')} FROM drift_verdicts WHERE change_id = $1 ORDER BY id", UUID(change)
    )
    return [tuple(row) for row in rows]


async def test_a_verdict_is_written_with_who_when_and_why(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1")
    user = await world.admin.fetchval("SELECT id FROM users WHERE email = $1", operator.email)
    began = world.clock.now

    answer = await operator.judged(change, "accepted", expires_at=operator.moment(1))
    world.clock.advance(60)
    await operator.judged(change, "rejected", reason="roll it back")

    assert answer == {
        "id": change,
        "host_id": "web-1",
        "verdict": "accepted",
        "reason": "as planned",
        "at": began.isoformat().replace("+00:00", "Z"),
        "by": operator.email,
        "expires_at": (began + HOUR).isoformat().replace("+00:00", "Z"),
        "baseline": answer["baseline"],
    }
    first = ("accepted", "as planned", began, user, began + HOUR)
    second = ("rejected", "roll it back", world.clock.now, user, None)
    assert await told(world, change) == [second, first, second]
    noted = [(row["target"], json.loads(row["detail"])["verdict"]) for row in await world.audit("drift.triaged")]
    assert noted == [(change, "accepted"), (change, "rejected")]


async def test_what_is_accepted_is_what_the_host_may_have_until_something_else_is_said(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1", before="1", after="2")
    for verdict in ("rejected", "expired", "open"):
        made = (await operator.judged(change, "accepted"))["baseline"]
        [baseline] = await operator.baselines(in_force=True)
        assert baseline == {
            "id": made,
            "host_id": "web-1",
            "category": "package",
            "source": "dpkg",
            "name": "openssl",
            "value": "2",
            "in_force": True,
            "reason": "as planned",
            "change_id": change,
            "accepted_at": operator.moment(),
            "accepted_by": operator.email,
            "expires_at": None,
            "ended_at": None,
            "ended_by": None,
        }
        world.clock.advance(60)

        assert (await operator.judged(change, verdict))["baseline"] is None

        assert await operator.baselines(in_force=True) == []
        [ended, *_] = await operator.baselines(in_force=False)
        assert ended == {
            **baseline,
            "in_force": False,
            "ended_at": operator.moment(),
            "ended_by": operator.email,
        }
    assert len(await operator.baselines(in_force=False)) == 3


async def test_what_is_gone_may_be_gone(operator: Operator) -> None:
    change = await add_change(operator.world, "web-1", after=None)

    await operator.judged(change, "accepted")

    assert await operator.values() == [None]


async def test_a_source_is_judged_and_makes_no_baseline(operator: Operator) -> None:
    change = await add_change(operator.world, "web-1", "", None, {"pip": "23"}, category="source", source="python:/x")

    assert (await operator.judged(change, "accepted"))["baseline"] is None

    assert await operator.baselines() == []


async def test_a_later_acceptance_takes_the_place_of_an_earlier_one_in_whatever_order_they_come(
    operator: Operator,
) -> None:
    world = operator.world
    first = await add_change(world, "web-1", before="1", after="2", at=world.clock.now - 2 * HOUR)
    second = await add_change(world, "web-1", before="2", after="3", at=world.clock.now - HOUR)
    await add_change(world, "web-2", before="1", after="2")

    await operator.judged(first, "accepted")
    await operator.judged(second, "accepted")
    assert await operator.values() == ["3"]

    assert (await operator.judged(first, "accepted"))["baseline"] is None
    assert await operator.values() == ["3"]

    await operator.judged(second, "rejected")
    assert await operator.values() == []
    await operator.judged(first, "accepted")
    assert await operator.values() == ["2"]


async def test_an_acceptance_that_expires_ends_by_itself(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1")
    await operator.judged(change, "accepted", expires_at=operator.moment(1))
    expired_at = world.clock.now + HOUR
    later = await add_change(world, "web-1", before="2", after="3", at=expired_at)
    world.clock.advance(3599)
    assert await operator.values() == ["2"]
    world.clock.advance(1)

    assert await operator.values() == []

    # What follows says no other end than that one, and nobody ended it.
    world.clock.advance(60)
    await operator.judged(later, "accepted")
    [old] = await operator.baselines(in_force=False)
    assert (old["ended_at"], old["ended_by"]) == (old["expires_at"], None)
    assert old["expires_at"] == expired_at.isoformat().replace("+00:00", "Z")


async def test_the_baseline_of_a_change_that_has_another_id_by_now_ends_with_its_verdict(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1")
    await operator.judged(change, "accepted")
    found_anew = uuid4()
    await world.admin.execute("UPDATE drift_changes SET id = $1", found_anew)

    await operator.judged(str(found_anew), "rejected")

    assert await operator.values() == []


async def test_a_verdict_ends_no_baseline_but_that_of_its_change(operator: Operator) -> None:
    world = operator.world
    first = await add_change(world, "web-1", before="1", after="2", at=world.clock.now - 2 * HOUR)
    await add_change(world, "web-1", before="2", after="1", at=world.clock.now - HOUR)
    third = await add_change(world, "web-1", before="1", after="2")
    other = await add_change(world, "web-2", before="1", after="2")
    for change in (first, other):
        await operator.judged(change, "accepted")

    await operator.judged(third, "open")

    assert await operator.values() == ["2", "2"]


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"verdict": "accepted"}, ["reason"]),
    ({"verdict": "accepted", "reason": " \t"}, ["reason"]),
    ({"verdict": "fine", "reason": "x"}, ["verdict"]),
    ({"verdict": "accepted", "reason": "x", "expires_at": "tomorrow"}, ["expires_at"]),
    ({"verdict": "rejected", "reason": "x", "expires_at": "2100-01-01T00:00:00Z"}, ["expires_at"]),
    ({"verdict": "accepted", "reason": "x", "expires_at": "2026-01-01T00:00:00Z"}, ["expires_at"]),
    ({"verdict": "accepted", "reason": "x", "by": "me"}, ["by"]),
]


async def test_a_verdict_that_cannot_be_is_refused_and_writes_nothing(operator: Operator) -> None:
    change = await add_change(operator.world, "web-1")
    for body, fields in BAD:
        for path, more in ((f"{change}/triage", {}), ("triage", {"ids": [change]})):
            answer = await operator.world.post(f"{DRIFT}/{path}", operator.token, json={**body, **more})
            assert fields_of(answer) == fields, body

    assert (await operator.judge(str(uuid4()), "accepted")).status_code == 404
    assert await told(operator.world, change) == [("open", None, None, None, None)]
    assert await operator.world.audit("drift.triaged") == []


async def test_of_verdicts_at_the_same_time_the_last_counts_and_all_are_kept(operator: Operator) -> None:
    world = operator.world
    change = await add_change(world, "web-1")
    verdicts = ["accepted", "rejected", "expired", "open", "accepted", "rejected"]

    answers = await asyncio.gather(*(operator.judge(change, verdict) for verdict in verdicts))

    assert {answer.status_code for answer in answers} == {200}
    [now, *history] = await told(world, change)
    assert sorted(row[0] for row in history) == sorted(verdicts)
    assert now == history[-1]
    assert await operator.values() == (["2"] if now[0] == "accepted" else [])


async def test_what_is_accepted_of_the_same_thing_at_the_same_time_leaves_one_baseline(operator: Operator) -> None:
    world, now = operator.world, operator.world.clock.now
    await add_host(world, "web-1")
    await add_snapshot(world, "web-1", now, Fact(Category.PACKAGE, "dpkg", "openssl", "5"))
    changes = [
        await add_change(world, "web-1", before=str(number), after=str(number + 1), at=now - HOUR / (number + 1))
        for number in range(5)
    ]

    answers = await asyncio.gather(
        *(operator.judge(change, "accepted") for change in changes),
        operator.accept(),
        operator.judge_many(ids=changes[::-1]),
    )

    assert {answer.status_code for answer in answers} == {200, 201}
    assert await operator.values() == ["5"]


async def test_the_same_change_is_judged_on_every_host_at_once(operator: Operator) -> None:
    world = operator.world
    meant = [await add_change(world, f"web-{number}") for number in range(3)]
    [model, *_] = meant
    await add_change(world, "web-8", before="1", after="3")
    await add_change(world, "web-8", before="0", after="2")
    await add_change(world, "web-8", "openssl", source="rpm")
    await add_change(world, "web-8", severity="ignored")
    judged = await add_change(world, "web-9")
    await operator.judged(judged, "rejected")

    dry = await operator.judge_many(like=model, dry_run=True)
    assert dry.json() == {"dry_run": True, "changes": 3, "hosts": 3, "baselines": None}
    assert [row[0] for row in await told(world, model)] == ["open"]
    answer = await operator.judge_many(like=model, expires_at=operator.moment(1))

    assert answer.json() == {"dry_run": False, "changes": 3, "hosts": 3, "baselines": 3}
    rows = await world.admin.fetch("SELECT id, expires_at FROM drift_changes WHERE verdict = 'accepted'")
    assert {(str(row["id"]), row["expires_at"]) for row in rows} == {(one, world.clock.now + HOUR) for one in meant}
    assert sorted(one["host_id"] for one in await operator.baselines()) == ["web-0", "web-1", "web-2"]
    noted = json.loads((await world.audit("drift.triaged"))[-1]["detail"])
    assert (noted["changes"], noted["hosts"], noted["like"]) == (3, 3, model)
    assert sorted(noted["ids"]) == sorted(meant)


async def test_changes_are_judged_by_their_ids_all_or_none(operator: Operator) -> None:
    world, now = operator.world, operator.world.clock.now
    older = await add_change(world, "web-1", before="1", after="2", at=now - HOUR)
    newer = await add_change(world, "web-1", before="2", after="3", at=now)
    other = await add_change(world, "web-1", "bash")
    strange = str(uuid4())

    for dry_run in (True, False):
        answer = await operator.judge_many(ids=[older, strange], dry_run=dry_run)
        assert fields_of(answer) == ["ids"]
        assert strange in answer.json()["detail"]
    assert fields_of(await operator.judge_many(like=strange)) == ["like"]
    assert [row[0] for row in await told(world, older)] == ["open"]

    answer = await operator.judge_many(ids=[other, newer, older, older], dry_run=True)
    assert answer.json() == {"dry_run": True, "changes": 3, "hosts": 1, "baselines": None}
    answer = await operator.judge_many(ids=[other, newer, older, older])
    assert answer.json() == {"dry_run": False, "changes": 3, "hosts": 1, "baselines": 2}
    assert sorted(await operator.values()) == ["2", "3"]
    assert len(await told(world, older)) == 2


async def test_there_are_bounds_to_what_is_judged_at_once(make_world: Any) -> None:
    world = await make_world(drift_triage_max=2)
    operator = Operator(world, email := await world.add_user("operator"), await world.session(email))
    ids = [await add_change(world, f"web-{number}") for number in range(3)]

    assert fields_of(await operator.judge_many(ids=ids)) == ["ids"]
    answer = await operator.judge_many(like=ids[0])
    assert answer.status_code == 409
    assert "3 changes" in answer.json()["detail"]
    assert "INFRAWATCH_DRIFT_TRIAGE_MAX" in answer.json()["detail"]
    assert (await operator.judge_many(like=ids[0], dry_run=True)).json()["changes"] == 3
    both_or_neither: list[dict[str, Any]] = [{}, {"ids": ids, "like": ids[0]}, {"ids": []}]
    for wrong in both_or_neither:
        assert (await operator.judge_many(**wrong)).status_code == 400


async def test_an_entry_of_the_audit_log_lists_no_more_than_a_hundred_changes(operator: Operator) -> None:
    ids = [await add_change(operator.world, f"web-{number}") for number in range(101)]

    assert (await operator.judge_many("rejected", ids=ids)).json()["changes"] == 101

    [entry] = await operator.world.audit("drift.triaged")
    noted = json.loads(entry["detail"])
    assert (noted["changes"], len(noted["ids"])) == (101, 100)
