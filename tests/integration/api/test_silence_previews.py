"""What silences would hide, before: hosts, rules, what fires, events and drift of the last week."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from alert_rules import fields_of
from fleet import add_host
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match, Subject

PREVIEW = "/api/v1/silences/preview"
HOUR = timedelta(hours=1)
_EVENT = """
INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, threshold, severity, since,
                          fired_at, value, found_at, late, resolved_at, resolved_reason)
VALUES ($1, $2, 1, $3, 'cpu high', 'cpu', '>=', 90, $4, $5, $5, 97.5, $5, FALSE, $6, $7)
"""
_CHANGE = """
INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, subject, action, before,
                           after, severity, reason, found_at, late)
VALUES ($1, $2, $3, $4, $4, 'kernel', '', 'kernel', '', 'changed', '"6.1"', '"6.2"', $5, 'a kernel', $4, FALSE)
"""
_RULE = """
INSERT INTO alerts (name, host_id, selector, metric, threshold, duration, severity, enabled)
VALUES ('x', $1, $2, 'cpu', 90, '1 min', $3, $4) RETURNING id
"""


class Viewer:
    """Somebody who asks."""

    def __init__(self, world: Any, token: str) -> None:
        self.world, self.token = world, token

    async def preview(self, match: Any, **query: Any) -> Any:
        body = {"match": match, "duration": 60}
        answer = await self.world.post(PREVIEW, self.token, json=body, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def moment(self, hours: float) -> str:
        """So many hours from now."""
        return str((self.world.clock.now + hours * HOUR).isoformat().replace("+00:00", "Z"))


@pytest.fixture
async def viewer(world: Any) -> Viewer:
    return Viewer(world, await world.signed_in("viewer"))


async def test_a_preview_counts_what_a_silence_would_hide(viewer: Viewer) -> None:
    world = viewer.world
    await add_host(world, "web-1", tags={"env": "prod"})
    await add_host(world, "web-2", tags={"env": "prod"})
    await add_host(world, "old", tags={"env": "prod"}, retired=world.clock.now)
    await add_host(world, "dev-1", tags={"env": "dev"})
    on_prod, on_web, _, disabled = [
        await world.admin.fetchval(_RULE, *rule)
        for rule in (
            (None, '{"env": "prod"}', "critical", True),
            ("web-1", "{}", "warning", True),
            ("dev-1", "{}", "warning", True),
            (None, "{}", "warning", False),
        )
    ]
    newest = world.clock.now - HOUR
    for number in range(5):
        await world.admin.execute(_EVENT, uuid4(), on_prod, "web-1", "critical", newest - number * HOUR, None, None)
    await world.admin.execute(_EVENT, uuid4(), on_web, "web-2", "warning", newest, newest, "cleared")
    await world.admin.execute(_EVENT, uuid4(), on_web, "web-2", "warning", newest - 200 * HOUR, newest, "cleared")
    await world.admin.execute(_EVENT, uuid4(), on_web, "dev-1", "warning", newest, None, None)

    seen = await viewer.preview({"selector": {"env": "prod"}}, limit=2)

    assert (seen["everything"], seen["hosts"], seen["alerts"]) == (False, 2, 2)
    assert (seen["firing_count"], seen["events_in_7_days"]) == (5, 6)
    assert [event["fired_at"] for event in seen["firing"]] == [viewer.moment(-1), viewer.moment(-2)]
    assert {event["host_id"] for event in seen["firing"]} == {"web-1"}
    everything = await viewer.preview({})
    assert (everything["everything"], everything["hosts"], everything["alerts"]) == (True, 3, 3)
    assert (everything["firing_count"], everything["events_in_7_days"]) == (6, 7)
    assert (await viewer.preview({"alert_ids": [str(disabled)]}))["alerts"] == 0
    assert await world.admin.fetchval("SELECT count(*) FROM silences") == 0


async def test_a_preview_counts_the_drift_that_a_silence_would_have_hidden(viewer: Viewer) -> None:
    world, newest = viewer.world, viewer.world.clock.now - HOUR
    await add_host(world, "web-1", tags={"env": "prod"})
    await add_host(world, "dev-1", tags={"env": "dev"})
    for host_id, at, severities in (
        ("web-1", newest, ["info", "critical", "warning"]),
        ("web-1", newest - HOUR, ["info", "ignored"]),
        ("web-1", newest - 2 * HOUR, ["ignored"]),
        ("web-1", newest - 3 * HOUR, ["warning", "info"]),
        ("web-1", newest - 200 * HOUR, ["critical"]),
        ("dev-1", newest, ["warning"]),
        ("purged", newest, ["warning"]),
    ):
        snapshot_id = uuid4()
        for severity in severities:
            await world.admin.execute(_CHANGE, uuid4(), host_id, snapshot_id, at, severity)
    ignore = "INSERT INTO drift_ignores (sources, names, selector, reason) VALUES ('{}', '{}', '{}', 'x') RETURNING id"
    ignored_by = await world.admin.fetchval(ignore)
    await world.admin.execute("UPDATE drift_changes SET ignored_by = $1 WHERE host_id = 'dev-1'", ignored_by)

    for match, critical, warning, info in (
        ({}, 1, 2, 1),
        ({"kinds": ["drift"]}, 1, 2, 1),
        ({"selector": {"env": "prod"}}, 1, 1, 1),
        ({"severities": ["info", "critical"]}, 1, 0, 1),
        ({"host_ids": ["dev-1"]}, 0, 0, 0),
        ({"kinds": ["alert"]}, 0, 0, 0),
    ):
        seen = await viewer.preview(match)
        assert seen["drift_in_7_days"] == {"critical": critical, "warning": warning, "info": info}, match


async def test_a_preview_of_drift_counts_no_alerts(viewer: Viewer) -> None:
    world = viewer.world
    await add_host(world, "web-1")
    rule = await world.admin.fetchval(_RULE, None, "{}", "critical", True)
    await world.admin.execute(_EVENT, uuid4(), rule, "web-1", "critical", world.clock.now - HOUR, None, None)

    seen = await viewer.preview({"kinds": ["drift"]})

    assert (seen["everything"], seen["hosts"], seen["alerts"]) == (True, 1, 0)
    assert (seen["firing_count"], seen["firing"], seen["events_in_7_days"]) == (0, [], 0)


async def test_a_preview_of_what_cannot_be_is_refused(viewer: Viewer) -> None:
    for body, field in (
        ({"match": {"host_ids": ["gone"]}, "duration": 60}, "match.host_ids"),
        ({"match": {}}, "ends_at"),
        ({"match": {}, "duration": 60, "reason": "x"}, "reason"),
    ):
        assert fields_of(await viewer.world.post(PREVIEW, viewer.token, json=body)) == [field]


async def test_the_database_matches_as_the_notifier_does(viewer: Viewer) -> None:
    rng, world = random.Random(3), viewer.world
    rules = [UUID(int=number + 1) for number in range(3)]
    names, tags = ["a", "b", "c"], {}
    for name in names[:2]:
        tags[name] = {key: rng.choice("xy") for key in rng.sample(["env", "role"], rng.randrange(3))}
        await add_host(world, name, tags=tags[name])
    for rule in rules:
        await world.admin.execute(
            "INSERT INTO alerts (id, name, metric, duration) VALUES ($1, 'x', 'cpu', 'PT1M')", rule
        )
    subjects = []
    for number in range(60):
        subject = Subject(name := rng.choice(names), tags.get(name, {}), rng.choice(list(Severity)), rng.choice(rules))
        fired_at = world.clock.now - number * timedelta(minutes=1)
        values = uuid4(), subject.alert_id, name, subject.severity, fired_at, None, None
        await world.admin.execute(_EVENT, *values)
        subjects.append(subject)
        drift = Subject(name, subject.tags, rng.choice(list(Severity)), None, Kind.DRIFT)
        await world.admin.execute(_CHANGE, uuid4(), name, uuid4(), fired_at, drift.severity)
        subjects.append(drift)
    for _ in range(60):
        match = Match(
            frozenset(rng.sample(list(Severity), rng.randrange(1, 3))) if rng.random() < 0.4 else None,
            frozenset(rng.sample(names[:2], rng.randrange(1, 3))) if rng.random() < 0.4 else None,
            frozenset(rng.sample(rules, rng.randrange(1, 3))) if rng.random() < 0.4 else None,
            {rng.choice(["env", "role"]): rng.choice("xy")} if rng.random() < 0.4 else {},
            frozenset({rng.choice(list(Kind))}) if rng.random() < 0.4 else None,
        )
        if not any(map(match.is_for, Kind)):
            continue
        seen = await viewer.preview(match.as_json())
        covered = [subject for subject in subjects if match.covers(subject)]
        assert seen["firing_count"] == sum(one.kind is Kind.ALERT for one in covered), match
        for severity in Severity:
            wanted = sum(one.kind is Kind.DRIFT and one.severity is severity for one in covered)
            assert seen["drift_in_7_days"][severity] == wanted, match
