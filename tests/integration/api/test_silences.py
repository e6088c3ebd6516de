"""Silences through the API: made, moved, ended; and what they would hide, before."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from alert_rules import fields_of
from fleet import add_host

SILENCES = "/api/v1/silences"
NOBODY = f"{SILENCES}/0193a000-0000-7000-8000-000000000000"
UPGRADE: dict[str, Any] = {"match": {"selector": {"env": "prod"}}, "reason": "upgrade", "duration": "PT1H"}
HOUR = timedelta(hours=1)


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def create(self, **fields: Any) -> Any:
        body = {name: value for name, value in {**UPGRADE, **fields}.items() if value is not None}
        return await self.world.post(SILENCES, self.token, json=body)

    async def created(self, **fields: Any) -> Any:
        answer = await self.create(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def change(self, silence: Any, **fields: Any) -> Any:
        return await self.world.call("PATCH", f"{SILENCES}/{silence['id']}", self.token, json=fields)

    async def end(self, silence: Any) -> None:
        answer = await self.world.call("DELETE", f"{SILENCES}/{silence['id']}", self.token)
        assert answer.status_code == 204, answer.text

    async def read(self, silence: Any) -> Any:
        return (await self.world.get(f"{SILENCES}/{silence['id']}", self.token)).json()

    async def listed(self, **query: Any) -> list[str]:
        answer = await self.world.get(SILENCES, self.token, params=query)
        assert answer.status_code == 200, answer.text
        return [silence["reason"] for silence in answer.json()["items"]]

    def moment(self, hours: float) -> str:
        """So many hours from now."""
        return str((self.world.clock.now + hours * HOUR).isoformat().replace("+00:00", "Z"))


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    return Operator(world, email, await world.session(email))


async def test_a_silence_is_created_and_read(operator: Operator) -> None:
    silence = await operator.created()

    assert silence == {
        "id": silence["id"],
        "match": {"selector": {"env": "prod"}},
        "reason": "upgrade",
        "state": "active",
        "starts_at": operator.moment(0),
        "ends_at": operator.moment(1),
        "created_at": operator.moment(0),
        "created_by": operator.email,
        "ended_by": None,
    }
    assert await operator.read(silence) == silence


async def test_the_notifier_reads_what_was_said_and_is_told_at_once(operator: Operator) -> None:
    await add_host(operator.world, "web-1")
    told: list[str] = []
    await operator.world.admin.add_listener("infrawatch_notices", lambda *notice: told.append(notice[3]))
    match = {"severities": ["critical", "info"], "host_ids": ["web-1"], "selector": {"env": "prod"}, "kinds": ["drift"]}

    await operator.created(match=match, starts_at=operator.moment(1), ends_at=operator.moment(2), duration=None)

    row = await operator.world.admin.fetchrow("SELECT * FROM silences")
    assert json.loads(row["match"]) == match
    assert (row["starts_at"], row["ends_at"]) == (operator.world.clock.now + HOUR, operator.world.clock.now + 2 * HOUR)
    assert told == ["silences"]


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"reason": None}, ["reason"]),
    ({"reason": " "}, ["reason"]),
    ({"match": None}, ["match"]),
    ({"match": {"host_ids": ["gone"]}}, ["match.host_ids"]),
    ({"match": {"alert_ids": [str(uuid4())]}}, ["match.alert_ids"]),
    ({"match": {"severities": ["fatal"]}}, ["match.severities.0"]),
    ({"match": {}}, ["match"]),
    ({"match": {"severities": ["info", "warning", "critical"]}}, ["match"]),
    ({"match": {"kinds": ["alert"]}}, ["match"]),
    ({"match": {"kinds": ["drift"], "severities": ["info", "warning", "critical"]}}, ["match"]),
    ({"match": {"kinds": ["tea"]}}, ["match.kinds.0"]),
    ({"match": {"kinds": ["drift"], "alert_ids": [str(uuid4())]}}, ["match.alert_ids"]),
    ({"duration": None}, ["ends_at"]),
    ({"ends_at": "2190-01-01T00:00:00Z"}, ["ends_at"]),
    ({"ends_at": "2190-01-01T00:00:00Z", "duration": None}, ["ends_at"]),
    ({"ends_at": "2020-01-01T00:00:00Z", "duration": None}, ["ends_at"]),
    ({"duration": "P30DT1S"}, ["duration"]),
    ({"duration": 0}, ["duration"]),
    ({"starts_at": "soon"}, ["starts_at"]),
    ({"ended_by": "x"}, ["ended_by"]),
]


async def test_what_is_wrong_with_a_new_silence_is_said_by_field(operator: Operator) -> None:
    for fields, named in BAD:
        assert fields_of(await operator.create(**fields)) == named, fields

    assert await operator.listed() == []
    assert await operator.world.audit("silence.created") == []


async def test_to_hide_everything_one_has_to_say_so(operator: Operator) -> None:
    refused = await operator.create(match={})
    silence = await operator.created(match={}, everything=True)

    assert '"everything": true' in refused.json()["detail"]
    assert silence["match"] == {}


async def test_to_hide_all_of_a_kind_one_has_to_say_so(operator: Operator) -> None:
    for kind, said in (("alert", "every alert event"), ("drift", "all drift")):
        refused = await operator.create(match={"kinds": [kind]})
        silence = await operator.created(match={"kinds": [kind]}, everything=True)

        assert f"matches {said}, so that" in str(refused.json())
        assert silence["match"] == {"kinds": [kind]}
        assert await operator.read(silence) == silence


async def test_a_silence_is_moved_within_its_bounds(operator: Operator) -> None:
    active = await operator.created()
    pending = await operator.created(reason="later", starts_at=operator.moment(2))
    operator.world.clock.advance(60)

    longer = await operator.change(active, ends_at=operator.moment(5), reason="it takes longer")
    earlier = await operator.change(pending, starts_at=operator.moment(-1))

    assert longer.json() == {**active, "ends_at": operator.moment(5), "reason": "it takes longer"}
    assert (earlier.json()["starts_at"], earlier.json()["state"]) == (operator.moment(0), "active")
    for silence, fields, named in (
        (active, {}, "body"),
        (active, {"starts_at": operator.moment(1)}, "starts_at"),
        (active, {"ends_at": operator.moment(0)}, "ends_at"),
        (active, {"ends_at": operator.moment(24 * 31)}, "ends_at"),
        (active, {"match": {}}, "match"),
    ):
        assert fields_of(await operator.change(silence, **fields)) == [named], fields
    assert await operator.read(active) == longer.json()
    noted = [json.loads(row["detail"]) for row in await operator.world.audit("silence.changed")]
    assert [(one["reason"], one["ends_at"]) for one in noted] == [
        ("it takes longer", (operator.world.clock.now + 5 * HOUR).isoformat()),
        ("later", datetime.fromisoformat(pending["ends_at"]).isoformat()),
    ]


async def test_a_change_that_changes_nothing_is_not_noted(operator: Operator) -> None:
    silence = await operator.created()

    same = await operator.change(silence, reason="upgrade", starts_at=silence["starts_at"], ends_at=silence["ends_at"])

    assert same.json() == silence
    assert await operator.world.audit("silence.changed") == []


async def test_what_is_ended_stays_with_who_ended_it(operator: Operator) -> None:
    silence = await operator.created()
    operator.world.clock.advance(60)

    await operator.end(silence)
    ended = await operator.read(silence)
    operator.world.clock.advance(60)
    await operator.end(silence)

    assert ended == {
        **silence,
        "state": "expired",
        "ends_at": (operator.world.clock.now - timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        "ended_by": operator.email,
    }
    assert await operator.read(silence) == ended
    assert (await operator.change(silence, ends_at=operator.moment(1))).status_code == 409
    assert len(await operator.world.audit("silence.ended")) == 1


async def test_what_has_not_begun_is_taken_away(operator: Operator) -> None:
    silence = await operator.created(starts_at=operator.moment(1))

    await operator.end(silence)

    assert await operator.listed() == []
    (noted,) = await operator.world.audit("silence.ended")
    assert (noted["target"], json.loads(noted["detail"])["reason"]) == (silence["id"], "upgrade")


async def test_silences_are_filtered_by_state_and_host(operator: Operator) -> None:
    await add_host(operator.world, "web-1", tags={"env": "prod", "role": "web"})
    await add_host(operator.world, "db-1", tags={"env": "prod"})
    await operator.created(reason="over", duration=60, match={"host_ids": ["web-1"]})
    operator.world.clock.advance(60)
    for reason, match in (
        ("prod", {"selector": {"env": "prod"}}),
        ("test", {"selector": {"env": "test"}}),
        ("web", {"host_ids": ["web-1"], "selector": {"role": "web"}}),
        ("info", {"severities": ["info"]}),
    ):
        await operator.created(reason=reason, match=match)
        operator.world.clock.advance(1)
    await operator.created(reason="next", match={"host_ids": ["db-1", "web-1"]}, starts_at=operator.moment(1))

    assert await operator.listed() == ["next", "info", "web", "test", "prod", "over"]
    assert await operator.listed(state="active") == ["info", "web", "test", "prod"]
    assert await operator.listed(state="pending") == ["next"]
    assert await operator.listed(state="expired") == ["over"]
    assert await operator.listed(host_id="web-1") == ["next", "info", "web", "prod", "over"]
    assert await operator.listed(host_id="db-1", state="active") == ["info", "prod"]
    assert await operator.listed(host_id="unknown") == ["info"]
    for query, field in (({"state": "dead"}, "state"), ({"host_id": "a b"}, "host_id"), ({"cursor": "x"}, "cursor")):
        assert fields_of(await operator.world.get(SILENCES, operator.token, params=query)) == [field]


async def test_silences_come_newest_first_in_pages(operator: Operator) -> None:
    for number in range(7):
        await operator.created(reason=str(number))
        operator.world.clock.advance(number % 2)
    made = (await operator.world.get(SILENCES, operator.token)).json()["items"]

    seen: list[Any] = []
    cursor = None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await operator.world.get(SILENCES, operator.token, params=query)).json()
        seen += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break

    assert seen == made == sorted(made, key=lambda one: (one["created_at"], one["id"]), reverse=True)


async def test_there_are_most_numbers(make_world: Any) -> None:
    world = await make_world(silences_max=2, silence_duration_max=3600, match_ids_max=1)
    email = await world.add_user("operator")
    operator = Operator(world, email, await world.session(email))
    await operator.created(duration=60)
    world.clock.advance(60)

    answers = await asyncio.gather(*(operator.create() for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "INFRAWATCH_SILENCES_MAX" in refused.json()["detail"]
    assert fields_of(await operator.create(duration=3601)) == ["duration"]
    assert fields_of(await operator.create(match={"host_ids": ["a", "b"]})) == ["match.host_ids"]


async def test_a_silence_that_is_not_there_is_a_404(operator: Operator) -> None:
    for method, body in (("GET", None), ("PATCH", {"reason": "x"}), ("DELETE", None)):
        assert (await operator.world.call(method, NOBODY, operator.token, json=body)).status_code == 404
