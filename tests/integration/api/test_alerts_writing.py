"""Alert rules through the API: made, changed, deleted; each change a version, and noted in the audit log."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from alert_rules import ALERTS, CPU, NOBODY, Operator, fields_of, stamp
from fleet import add_host
from stack import eventually


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    await add_host(world, "web-1")
    return Operator(world, email, await world.session(email))


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
    ({"threshold": 150}, ["threshold"]),
    ({"threshold": -5, "clear_threshold": None}, ["threshold"]),
    ({"threshold": 100, "comparison": ">"}, ["threshold"]),
    ({"metric": "uptime", "comparison": "<", "threshold": -1, "clear_threshold": None}, ["threshold"]),
    ({"clear_threshold": 91}, ["clear_threshold"]),
    ({"clear_threshold": -1}, ["clear_threshold"]),
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
    ({"threshold": 101}, ["threshold"]),
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
