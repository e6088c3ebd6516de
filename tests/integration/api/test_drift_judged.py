"""What the drift service finds and what people say of it, in each other's presence."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from drifting import history, said, snapshot
from infrawatch_common.drift.content import Content

if TYPE_CHECKING:
    from stack import Database

HOUR = timedelta(hours=1)


def openssl(version: str) -> Content:
    return said(packages={"dpkg": {"openssl": version}})


async def only_change(world: Any) -> Any:
    [row] = await world.admin.fetch("SELECT * FROM drift_changes")
    return row


async def judge(world: Any, token: str, change_id: Any, verdict: str) -> int:
    body = {"verdict": verdict, "reason": "as planned"}
    return int((await world.post(f"/api/v1/drift/{change_id}/triage", token, json=body)).status_code)


async def values(world: Any, token: str) -> list[Any]:
    answer = await world.get("/api/v1/drift/baselines?in_force=true", token)
    return [baseline["value"] for baseline in answer.json()["items"]]


async def test_a_late_snapshot_leaves_a_change_its_verdict_and_the_verdict_its_baseline(
    world: Any, database: "Database"
) -> None:
    start, token = world.clock.now - 3 * HOUR, await world.signed_in("operator")
    await history(database, "web-1", [(start, openssl("1")), (start + 2 * HOUR, openssl("2"))])
    before = await only_change(world)
    assert await judge(world, token, before["id"], "accepted") == 200

    await snapshot(database, "web-1", start + HOUR, openssl("2"))

    after = await only_change(world)
    assert (after["at"], after["verdict"]) == (start + HOUR, "accepted")
    assert after["id"] != before["id"]
    assert await values(world, token) == ["2"]
    assert await judge(world, token, before["id"], "rejected") == 404
    assert await judge(world, token, after["id"], "rejected") == 200
    assert await values(world, token) == []


async def test_what_is_found_after_a_rule_was_made_is_hidden_by_it(world: Any, database: "Database") -> None:
    token = await world.signed_in("operator")
    body = {"names": ["open*"], "selector": {"env": "prod"}, "reason": "noise"}
    rule = (await world.post("/api/v1/drift/ignores", token, json=body)).json()

    for host_id, env in (("web-1", "prod"), ("web-2", "dev")):
        contents = [(world.clock.now - HOUR, openssl("1")), (world.clock.now, openssl("2"))]
        await history(database, host_id, contents, tags={"env": env})

    rows = await world.admin.fetch("SELECT host_id, ignored_by FROM drift_changes WHERE hidden")
    assert [(row["host_id"], str(row["ignored_by"])) for row in rows] == [("web-1", rule["id"])]
    assert (await world.call("DELETE", f"/api/v1/drift/ignores/{rule['id']}", token)).status_code == 204
    assert await world.admin.fetch("SELECT FROM drift_changes WHERE hidden") == []


async def test_verdicts_rules_and_late_snapshots_at_the_same_time_lose_nothing(
    world: Any, database: "Database"
) -> None:
    start, token = world.clock.now - 24 * HOUR, await world.signed_in("operator")
    hosts = [f"web-{number}" for number in range(4)]
    for host_id in hosts:
        await history(database, host_id, [(start, openssl("1")), (start + 20 * HOUR, openssl("2"))])
    change_id = await world.admin.fetchval("SELECT id FROM drift_changes LIMIT 1")

    async def late(hours: int) -> None:
        for host_id in hosts:
            await snapshot(database, host_id, start + hours * HOUR, openssl("2"), id=uuid4())

    async def many() -> Any:
        body = {"verdict": "accepted", "reason": "x", "like": str(change_id)}
        return await world.post("/api/v1/drift/triage", token, json=body)

    async def hide() -> Any:
        rule = await world.post("/api/v1/drift/ignores", token, json={"names": ["open*"], "reason": "x"})
        return await world.call("DELETE", f"/api/v1/drift/ignores/{rule.json()['id']}", token)

    answers = await asyncio.gather(late(15), many(), hide(), late(10), hide(), many())

    assert {answer.status_code for answer in answers if answer is not None} <= {200, 204, 400}
    rows = await world.admin.fetch("SELECT host_id, at, hidden, verdict FROM drift_changes ORDER BY host_id")
    assert [(row["host_id"], row["at"], row["hidden"]) for row in rows] == [
        (host_id, start + 10 * HOUR, False) for host_id in hosts
    ]
    accepted = {row["host_id"] for row in rows if row["verdict"] == "accepted"}
    said_of = await world.admin.fetch("SELECT DISTINCT host_id FROM drift_verdicts")
    assert accepted == {row["host_id"] for row in said_of}
