"""Alert rules through the API: made, changed, deleted, listed; with versions and an audit log."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from fleet import add_host
from stack import eventually

ALERTS = "/api/v1/alerts"
NOBODY = f"{ALERTS}/0193a000-0000-7000-8000-000000000000"
CPU: dict[str, Any] = {
    "name": "cpu high",
    "host_id": None,
    "selector": {"env": "prod"},
    "metric": "cpu",
    "comparison": ">=",
    "threshold": 90,
    "clear_threshold": 80,
    "duration": "PT5M",
    "severity": "warning",
    "enabled": True,
}
ON_HOST = {"name": "silent", "host_id": "web-1", "metric": "heartbeat", "duration": 120}


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def create(self, **fields: Any) -> Any:
        return await self.world.post(ALERTS, self.token, json={**CPU, **fields})

    async def created(self, **fields: Any) -> Any:
        answer = await self.create(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def change(self, alert: Any, **fields: Any) -> Any:
        return await self.world.call("PATCH", f"{ALERTS}/{alert['id']}", self.token, json=fields)

    async def changed(self, alert: Any, **fields: Any) -> Any:
        answer = await self.change(alert, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, alert: Any) -> Any:
        return (await self.world.get(f"{ALERTS}/{alert['id']}", self.token)).json()

    async def versions(self, alert: Any, **query: Any) -> Any:
        answer = await self.world.get(f"{ALERTS}/{alert['id']}/versions", self.token, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listed(self, **query: Any) -> list[str]:
        answer = await self.world.get(ALERTS, self.token, params=query)
        assert answer.status_code == 200, answer.text
        return [alert["name"] for alert in answer.json()["items"]]


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    await add_host(world, "web-1")
    return Operator(world, email, await world.session(email))


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return sorted(error["field"] for error in answer.json()["errors"])


def stamp(world: Any) -> str:
    return str(world.clock.now.isoformat().replace("+00:00", "Z"))


async def test_a_rule_is_created_and_read(operator: Operator) -> None:
    alert = await operator.created()

    assert {name: alert[name] for name in CPU} == CPU
    assert (alert["version"], alert["created_by"]) == (1, operator.email)
    assert alert["created_at"] == alert["changed_at"] == stamp(operator.world)
    assert (alert["last_triggered"], alert["log"]) == (None, [])
    assert await operator.read(alert) == alert


async def test_what_is_left_out_has_a_default(operator: Operator) -> None:
    answer = await operator.world.post(ALERTS, operator.token, json=ON_HOST)

    alert = answer.json()
    assert answer.status_code == 201, answer.text
    assert (alert["host_id"], alert["selector"], alert["duration"]) == ("web-1", None, "PT2M")
    assert (alert["comparison"], alert["threshold"], alert["clear_threshold"]) == (">=", None, None)
    assert (alert["severity"], alert["enabled"]) == ("warning", True)


async def test_alerting_reads_what_was_said(operator: Operator) -> None:
    alert = await operator.created(duration="P1DT1S", comparison="<", threshold=5.5, clear_threshold=None)

    row = await operator.world.admin.fetchrow("SELECT * FROM alerts WHERE id = $1", UUID(alert["id"]))
    assert (row["host_id"], json.loads(row["selector"]), row["metric"]) == (None, {"env": "prod"}, "cpu")
    assert (row["comparison"], row["threshold"], row["clear_threshold"]) == ("<", 5.5, None)
    assert (row["duration"].total_seconds(), row["severity"], row["enabled"]) == (86_401, "warning", True)


async def test_what_alerting_wrote_is_shown(operator: Operator) -> None:
    alert = await operator.created()
    await operator.world.admin.execute(
        "UPDATE alerts SET last_triggered = '2026-11-22T10:00:00Z', log = $1", json.dumps([{"host_id": "web-1"}])
    )

    shown = await operator.read(alert)
    assert (shown["last_triggered"], shown["log"]) == ("2026-11-22T10:00:00Z", [{"host_id": "web-1"}])


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": ""}, ["name"]),
    ({"name": "a\0"}, ["name"]),
    ({"host_id": "a b", "selector": None}, ["host_id"]),
    ({"host_id": "none", "selector": None}, ["host_id"]),
    ({"host_id": "web-1"}, ["selector"]),
    ({"selector": None}, ["selector"]),
    ({"metric": "swap"}, ["metric"]),
    ({"comparison": "=="}, ["comparison"]),
    ({"threshold": None}, ["threshold"]),
    ({"threshold": "90"}, ["threshold"]),
    ({"threshold": True}, ["threshold"]),
    ({"clear_threshold": 91}, ["clear_threshold"]),
    ({"comparison": "<", "clear_threshold": 89}, ["clear_threshold"]),
    ({"metric": "heartbeat"}, ["clear_threshold", "threshold"]),
    ({"metric": "heartbeat", "threshold": None, "clear_threshold": None, "duration": 0}, ["duration"]),
    ({"duration": "soon"}, ["duration"]),
    ({"duration": -1}, ["duration"]),
    ({"duration": "P30DT1S"}, ["duration"]),
    ({"duration": "P31D", "selector": None}, ["duration", "selector"]),
    ({"severity": "fatal"}, ["severity"]),
    ({"enabled": 1}, ["enabled"]),
    ({"version": 7}, ["version"]),
    ({"created_by": "me"}, ["created_by"]),
]


async def test_what_is_wrong_with_a_new_rule_is_said_by_field(operator: Operator) -> None:
    for fields, named in BAD:
        assert fields_of(await operator.create(**fields)) == named, fields
    for fields in ({"selector": {"env": 5}}, {"selector": {"": "x"}}, {"selector": {str(n): "" for n in range(65)}}):
        (field,) = fields_of(await operator.create(**fields))
        assert field.startswith("selector")
    for content in (b'{"threshold": 1e999}', b'{"threshold": NaN}'):
        answer = await operator.world.post(ALERTS, operator.token, content=content)
        assert answer.status_code == 400, content

    assert await operator.listed() == []
    assert await operator.world.audit("alert.created") == []


BAD_CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["body"]),
    ({"version": 1}, ["body"]),
    ({"name": None}, ["name"]),
    ({"threshold": None}, ["threshold"]),
    ({"threshold": 70}, ["clear_threshold"]),
    ({"metric": "heartbeat"}, ["clear_threshold", "threshold"]),
    ({"selector": None}, ["selector"]),
    ({"host_id": "web-1"}, ["selector"]),
    ({"host_id": "none", "selector": None}, ["host_id"]),
    ({"duration": "P31D"}, ["duration"]),
    ({"version": 0, "name": "x"}, ["version"]),
    ({"id": "x"}, ["id"]),
]


async def test_what_a_change_would_make_wrong_is_said_by_field_and_not_done(operator: Operator) -> None:
    alert = await operator.created()

    for fields, named in BAD_CHANGES:
        assert fields_of(await operator.change(alert, **fields)) == named, fields

    assert await operator.read(alert) == alert
    assert len((await operator.versions(alert))["items"]) == 1


CHANGES: list[dict[str, Any]] = [
    {"name": "cpu very high"},
    {"selector": {}},
    {"metric": "memory"},
    {"comparison": ">"},
    {"threshold": 95},
    {"clear_threshold": None},
    {"duration": "PT10M"},
    {"severity": "critical"},
    {"enabled": False},
    {"host_id": "web-1", "selector": None},
    {"host_id": None, "selector": {"env": "test"}},
    {"metric": "heartbeat", "threshold": None},
]


async def test_each_change_is_a_version_that_says_who_made_it_and_when(operator: Operator) -> None:
    alert = first = await operator.created()
    for number, change in enumerate(CHANGES, start=2):
        operator.world.clock.advance(1)
        before, alert = alert, await operator.changed(alert, **change)
        assert alert == {**before, **change, "version": number, "changed_at": stamp(operator.world)}

    versions = (await operator.versions(alert))["items"]

    assert [version["version"] for version in versions] == list(range(len(CHANGES) + 1, 0, -1))
    assert {version["changed_by"] for version in versions} == {operator.email}
    assert versions[-1] == {
        "version": 1,
        "changed_at": first["created_at"],
        "changed_by": operator.email,
        "changes": {},
        "rule": CPU,
    }
    for version, change in zip(versions, reversed(CHANGES), strict=False):
        assert {name: found["after"] for name, found in version["changes"].items()} == change
    assert {name: alert[name] for name in CPU} == versions[0]["rule"]
    assert versions[7]["changes"] == {"threshold": {"before": 90, "after": 95}}


async def test_a_change_that_changes_nothing_makes_no_version(operator: Operator) -> None:
    alert = await operator.created()
    operator.world.clock.advance(1)

    for same in ({"name": "cpu high"}, {"duration": 300}, {"threshold": 90.0}, {**CPU, "version": 1}):
        assert await operator.changed(alert, **same) == alert

    assert len((await operator.versions(alert))["items"]) == 1
    assert await operator.world.audit("alert.changed") == []


async def test_a_change_to_a_version_that_is_no_longer_the_latest_is_refused(operator: Operator) -> None:
    alert = await operator.created()
    alert = await operator.changed(alert, threshold=95, version=1)

    answer = await operator.change(alert, threshold=97, version=1)

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:infrawatch:problem:conflict"
    assert "version 2" in answer.json()["detail"]
    assert await operator.read(alert) == alert
    assert (await operator.changed(alert, threshold=97, version=2))["version"] == 3


async def test_of_changes_at_the_same_moment_to_one_version_one_is_made(operator: Operator) -> None:
    alert = await operator.created()

    answers = await asyncio.gather(*(operator.change(alert, threshold=91 + n, version=1) for n in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert [version["version"] for version in (await operator.versions(alert))["items"]] == [2, 1]


async def test_a_change_waits_for_one_that_is_being_made_and_sees_its_version(operator: Operator) -> None:
    alert = await operator.created()
    async with operator.world.admin.transaction():
        await operator.world.admin.execute("UPDATE alerts SET version = 2")
        waiting = asyncio.create_task(operator.change(alert, threshold=95, version=1))
        await eventually(lambda: locked_out(operator.world))

    assert (await waiting).status_code == 409


async def locked_out(world: Any) -> bool:
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await world.admin.fetchval(f"SELECT EXISTS ({waiting})"))


async def test_versions_come_in_pages_each_with_its_difference(operator: Operator) -> None:
    alert = await operator.created()
    for threshold in range(91, 98):
        await operator.changed(alert, threshold=threshold)

    items, cursor = [], None
    while True:
        page = await operator.versions(alert, limit=3, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break

    assert [item["version"] for item in items] == list(range(8, 0, -1))
    assert [item["changes"]["threshold"]["before"] for item in items[:-1]] == list(range(96, 89, -1))


async def test_a_deleted_rule_leaves_its_versions_and_events(operator: Operator) -> None:
    alert = await operator.created()
    await operator.changed(alert, threshold=95)
    await operator.world.admin.execute(
        "INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, severity, since, fired_at,"
        " found_at, late) VALUES ($1, $1, 1, 'web-1', 'x', 'cpu', '>=', 'info', now(), now(), now(), FALSE)",
        UUID(alert["id"]),
    )

    assert (await operator.world.call("DELETE", f"{ALERTS}/{alert['id']}", operator.token)).status_code == 204

    assert (await operator.world.get(f"{ALERTS}/{alert['id']}", operator.token)).status_code == 404
    assert [version["version"] for version in (await operator.versions(alert))["items"]] == [2, 1]
    events = await operator.world.get("/api/v1/alert-events", operator.token, params={"alert_id": alert["id"]})
    assert [event["id"] for event in events.json()["items"]] == [alert["id"]]
    assert await operator.listed() == []


async def test_a_rule_that_is_not_there_is_a_404(operator: Operator) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("PATCH", "", {"host_id": "none", "version": 3}),
        ("DELETE", "", None),
        ("GET", "/versions", None),
    ):
        answer = await operator.world.call(method, NOBODY + path, operator.token, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert (await operator.world.get(f"{ALERTS}/x", operator.token)).status_code == 404


async def test_the_audit_log_tells_what_was_changed(operator: Operator) -> None:
    alert = await operator.created()
    await operator.changed(alert, threshold=95, clear_threshold=None)
    await operator.world.call("DELETE", f"{ALERTS}/{alert['id']}", operator.token)

    (created,), (changed,), (deleted,) = [
        await operator.world.audit(f"alert.{what}") for what in ("created", "changed", "deleted")
    ]
    assert {(row["actor"], row["target"]) for row in (created, changed, deleted)} == {(operator.email, alert["id"])}
    assert json.loads(created["detail"]) == {**CPU, "version": 1}
    assert json.loads(changed["detail"]) == {
        "version": 2,
        "changes": {"threshold": {"before": 90, "after": 95}, "clear_threshold": {"before": 80, "after": None}},
    }
    assert json.loads(deleted["detail"]) == {**CPU, "threshold": 95, "clear_threshold": None, "version": 2}


async def test_rules_of_a_user_who_is_gone_stay(operator: Operator) -> None:
    alert = await operator.created()
    await operator.world.admin.execute("DELETE FROM users WHERE email = $1", operator.email)
    operator.token = await operator.world.signed_in("viewer")

    assert (await operator.read(alert))["created_by"] is None
    assert [version["changed_by"] for version in (await operator.versions(alert))["items"]] == [None]


async def test_rules_are_filtered(operator: Operator) -> None:
    await operator.created(name="CPU 100%")
    await operator.created(name="mem_ory", metric="memory", severity="critical")
    await operator.created(name="off", enabled=False)
    await operator.world.post(ALERTS, operator.token, json=ON_HOST)

    assert await operator.listed(host_id="web-1") == ["silent"]
    assert await operator.listed(metric="memory") == ["mem_ory"]
    assert await operator.listed(severity="critical") == ["mem_ory"]
    assert await operator.listed(enabled=False) == ["off"]
    assert set(await operator.listed(enabled=True, metric="cpu")) == {"CPU 100%"}
    assert await operator.listed(name="0%") == ["CPU 100%"]
    assert await operator.listed(name="_") == ["mem_ory"]
    assert await operator.listed(name="MEM", severity="warning") == []
    for query, field in (
        ({"host_id": "a b"}, "host_id"),
        ({"metric": "swap"}, "metric"),
        ({"severity": "bad"}, "severity"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"name": "\0"}, "name"),
        ({"cursor": "x"}, "cursor"),
    ):
        assert fields_of(await operator.world.get(ALERTS, operator.token, params=query)) == [field]


async def test_rules_come_newest_first_in_pages_that_changes_do_not_disturb(operator: Operator) -> None:
    made = []
    for number in range(11):
        made.append(await operator.created(name=f"rule {number}"))
        operator.world.clock.advance(number % 2)
    order = sorted(made, key=lambda alert: (alert["created_at"], alert["id"]), reverse=True)

    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await operator.world.get(ALERTS, operator.token, params=query)).json()
        seen += [alert["id"] for alert in page["items"]]
        for alert in page["items"]:
            await operator.changed(alert, name=f"changed {alert['name']}")
        await operator.created(name="newer")
        if (cursor := page["next_cursor"]) is None:
            break

    assert seen == [alert["id"] for alert in order]


async def test_there_is_a_most_number_of_rules(make_world: Any) -> None:
    world = await make_world(alerts_max=3)
    token = await world.signed_in("operator")

    answers = await asyncio.gather(*(world.post(ALERTS, token, json=CPU) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "INFRAWATCH_ALERTS_MAX" in refused.json()["detail"]
    await world.admin.execute("DELETE FROM alerts WHERE id = (SELECT min(id::text)::uuid FROM alerts)")
    assert (await world.post(ALERTS, token, json=CPU)).status_code == 201


async def test_the_longest_duration_is_a_setting(make_world: Any) -> None:
    world = await make_world(alert_duration_max=600)
    token = await world.signed_in("operator")

    assert (await world.post(ALERTS, token, json={**CPU, "duration": 600})).status_code == 201
    refused = await world.post(ALERTS, token, json={**CPU, "duration": 601})
    assert refused.json()["errors"] == [{"field": "duration", "message": "should be at most PT10M"}]


async def test_a_rule_is_not_made_for_a_host_that_is_being_purged(operator: Operator) -> None:
    admin = await operator.world.signed_in("admin")
    alert = await operator.created()
    purge = operator.world.call("DELETE", "/api/v1/hosts/web-1?purge=true", admin)
    on_host = {"host_id": "web-1", "selector": None}

    gone, made, changed = await asyncio.gather(purge, operator.create(**on_host), operator.change(alert, **on_host))

    assert gone.status_code == 204
    assert (made.status_code, changed.status_code) in {(code, other) for code in (201, 400) for other in (200, 400)}
    for answer in (made, changed):
        assert answer.status_code != 400 or fields_of(answer) == ["host_id"]
    assert await operator.listed(host_id="web-1") == []


async def test_alerting_is_told_of_every_version(operator: Operator) -> None:
    told: list[str] = []
    await operator.world.admin.add_listener("infrawatch_rules", lambda *notice: told.append(notice[3]))

    alert = await operator.created()
    await operator.changed(alert, threshold=95)
    await operator.changed(alert, threshold=95)
    await operator.world.call("DELETE", f"{ALERTS}/{alert['id']}", operator.token)
    await operator.world.admin.execute("SELECT 1")

    assert told == ["alerts"] * 3
