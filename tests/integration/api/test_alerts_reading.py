"""Alert rules as the API tells them: one by one, in pages, by filters, with their versions."""

import json
from typing import Any
from uuid import UUID

import pytest

from alert_rules import ALERTS, CPU, ON_HOST, Operator, fields_of, stamp
from fleet import add_host


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    await add_host(world, "web-1")
    return Operator(world, email, await world.session(email))


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
