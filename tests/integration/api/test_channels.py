"""Channels through the API: made, changed, tried, deleted; their secrets kept."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from alert_rules import fields_of, stamp
from fleet import add_host
from infrawatch_common.notices.sealing import Sealer, Secrets
from records import MASTER_SECRET
from telling import add_attempt, add_message

CHANNELS = "/api/v1/channels"
NOBODY = f"{CHANNELS}/0193a000-0000-7000-8000-000000000000"
WEBHOOK: dict[str, Any] = {"name": "ops", "kind": "webhook", "url": "https://hooks.example.org/services/canary01"}
MAIL: dict[str, Any] = {
    "name": "mail",
    "kind": "apprise",
    "url": "mailtos://ops:canary02@mail.example.org?to=ops@example.org",
}
CANARIES = [f"canary{number:02}" for number in range(1, 6)]


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def create(self, **fields: Any) -> Any:
        return await self.world.post(CHANNELS, self.token, json={**WEBHOOK, **fields})

    async def created(self, **fields: Any) -> Any:
        answer = await self.create(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def change(self, channel: Any, **fields: Any) -> Any:
        return await self.world.call("PATCH", f"{CHANNELS}/{channel['id']}", self.token, json=fields)

    async def changed(self, channel: Any, **fields: Any) -> Any:
        answer = await self.change(channel, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def act(self, channel: Any, what: str) -> Any:
        return await self.world.post(f"{CHANNELS}/{channel['id']}/{what}", self.token)

    async def read(self, channel: Any) -> Any:
        return (await self.world.get(f"{CHANNELS}/{channel['id']}", self.token)).json()

    async def listed(self, **query: Any) -> list[Any]:
        answer = await self.world.get(CHANNELS, self.token, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def secrets(self, channel: Any) -> Secrets:
        sealed = await self.world.admin.fetchval("SELECT sealed FROM channels WHERE id = $1", UUID(channel["id"]))
        return Sealer(MASTER_SECRET.encode()).open(sealed)


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    return Operator(world, email, await world.session(email))


def shown(channel: Any) -> dict[str, Any]:
    """Without what is told once."""
    return {name: value for name, value in channel.items() if name != "signing_secret"}


async def test_a_webhook_is_created_and_shown_without_its_secrets(operator: Operator) -> None:
    channel = await operator.created()

    secret = channel["signing_secret"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert await operator.secrets(channel) == Secrets(WEBHOOK["url"], secret)
    assert await operator.read(channel) == shown(channel)
    assert await operator.listed() == [shown(channel)]
    assert shown(channel) == {
        "id": channel["id"],
        "name": "ops",
        "kind": "webhook",
        "target": "https://hooks.example.org/…",
        "routes": [{}],
        "send_resolved": True,
        "group_interval": "PT1M",
        "repeat_interval": "PT4H",
        "enabled": True,
        "created_at": stamp(operator.world),
        "created_by": operator.email,
        "changed_at": stamp(operator.world),
        "waiting": 0,
        "last_delivered_at": None,
        "last_failure": None,
    }


async def test_a_channel_of_apprise_has_no_signing_secret(operator: Operator) -> None:
    channel = await operator.created(**MAIL)

    assert channel["signing_secret"] is None
    assert await operator.secrets(channel) == Secrets(MAIL["url"])
    assert channel["target"].startswith("mailtos://")


async def test_the_notifier_reads_what_was_said(operator: Operator) -> None:
    await add_host(operator.world, "web-1")
    routes = [{"severities": ["critical", "warning"], "host_ids": ["web-1"]}, {"kinds": ["alert", "drift"]}]

    channel = await operator.created(routes=routes, group_interval=0, repeat_interval=None, send_resolved=False)

    row = await operator.world.admin.fetchrow("SELECT * FROM channels")
    assert (row["kind"], row["name"], json.loads(row["routes"])) == ("webhook", "ops", routes)
    assert (row["group_interval"], row["repeat_interval"]) == (timedelta(0), None)
    assert (row["send_resolved"], row["enabled"]) == (False, True)
    assert (channel["routes"], channel["group_interval"], channel["repeat_interval"]) == (routes, "PT0S", None)


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": ""}, ["name"]),
    ({"kind": "pigeon"}, ["kind"]),
    ({"url": "ftp://hooks.example.org"}, ["url"]),
    ({"url": "http://169.254.169.254/latest"}, ["url"]),
    ({"url": "https://user:canary04@hooks.example.org"}, ["url"]),
    ({"url": "https://hooks.example.org/ canary04"}, ["url"]),
    ({"url": ""}, ["url"]),
    ({"url": 5}, ["url"]),
    ({"kind": "apprise", "url": "nonsense://canary04"}, ["url"]),
    ({"kind": "apprise", "url": "https"}, ["url"]),
    ({"routes": [{}, {"host_ids": []}]}, ["routes.1.host_ids"]),
    ({"routes": [{"host_ids": ["gone"]}]}, ["routes.0.host_ids"]),
    ({"routes": [{}, {"alert_ids": ["0193a000-0000-7000-8000-000000000000"]}]}, ["routes.1.alert_ids"]),
    ({"routes": [{"severities": ["fatal"]}]}, ["routes.0.severities.0"]),
    ({"routes": [{"hosts": ["x"]}]}, ["routes.0.hosts"]),
    ({"routes": None}, ["routes"]),
    ({"group_interval": "soon"}, ["group_interval"]),
    ({"group_interval": None}, ["group_interval"]),
    ({"group_interval": "P31D"}, ["group_interval"]),
    ({"repeat_interval": 0}, ["repeat_interval"]),
    ({"repeat_interval": "P31D"}, ["repeat_interval"]),
    ({"target": "x"}, ["target"]),
]


async def test_what_is_wrong_with_a_new_channel_is_said_by_field(operator: Operator) -> None:
    for fields, named in BAD:
        answer = await operator.create(**fields)
        assert fields_of(answer) == named, fields
        assert "canary" not in answer.text, fields

    assert await operator.listed() == []


async def test_a_change_sets_what_it_names_and_is_noted(operator: Operator) -> None:
    channel = shown(await operator.created())
    changes: list[dict[str, Any]] = [
        {"name": "others"},
        {"routes": []},
        {"routes": [{"severities": ["critical"], "kinds": ["alert"]}]},
        {"send_resolved": False},
        {"group_interval": "PT5M"},
        {"repeat_interval": None},
        {"enabled": False},
    ]
    for change in changes:
        operator.world.clock.advance(1)
        before, channel = channel, await operator.changed(channel, **change)
        assert channel == {**before, **change, "changed_at": stamp(operator.world)}

    noted = [json.loads(row["detail"]) for row in await operator.world.audit("channel.changed")]
    assert noted[0] == {"changes": {"name": {"before": "ops", "after": "others"}}}
    assert noted[-1] == {"changes": {"enabled": {"before": True, "after": False}}}


async def test_a_change_that_changes_nothing_is_not_noted(operator: Operator) -> None:
    channel = await operator.created()
    operator.world.clock.advance(1)

    assert await operator.changed(channel, name="ops", routes=[{}], group_interval=60) == shown(channel)
    assert await operator.world.audit("channel.changed") == []


async def test_a_webhook_that_moves_keeps_its_signing_secret(operator: Operator) -> None:
    channel = await operator.created()

    moved = await operator.changed(channel, url="https://other.example.org/canary05")

    assert moved["target"] == "https://other.example.org/…"
    assert await operator.secrets(channel) == Secrets("https://other.example.org/canary05", channel["signing_secret"])
    assert fields_of(await operator.change(channel, url="mailto://canary05")) == ["url"]
    (noted,) = await operator.world.audit("channel.changed")
    assert json.loads(noted["detail"]) == {
        "url": "changed",
        "changes": {"target": {"before": "https://hooks.example.org/…", "after": "https://other.example.org/…"}},
    }


async def test_a_new_signing_secret_replaces_the_old_one(operator: Operator) -> None:
    channel, mail = await operator.created(), await operator.created(**MAIL)

    secret = (await operator.act(channel, "secret")).json()["signing_secret"]

    assert secret != channel["signing_secret"]
    assert await operator.secrets(channel) == Secrets(WEBHOOK["url"], secret)
    assert (await operator.act(mail, "secret")).status_code == 409


async def test_a_change_to_what_somebody_else_changed_is_refused(operator: Operator) -> None:
    channel = await operator.created()
    operator.world.clock.advance(1)
    newer = await operator.changed(channel, name="newer", changed_at=channel["changed_at"])

    assert (await operator.change(channel, name="newest", changed_at=channel["changed_at"])).status_code == 409
    assert await operator.read(channel) == newer


async def test_a_name_is_had_once(operator: Operator) -> None:
    await operator.created()
    other = await operator.created(name="others")

    for answer in (await operator.create(), await operator.change(other, name="ops")):
        assert (answer.status_code, answer.json()["detail"]) == (409, "There is a channel with this name.")


async def test_a_host_that_is_gone_is_not_in_the_way_of_another_change(operator: Operator) -> None:
    await add_host(operator.world, "web-1")
    channel = await operator.created(routes=[{"host_ids": ["web-1"]}])
    await operator.world.admin.execute("DELETE FROM hosts")

    kept = await operator.changed(channel, routes=[{"host_ids": ["web-1"], "severities": ["info"]}])

    assert kept["routes"] == [{"severities": ["info"], "host_ids": ["web-1"]}]
    assert fields_of(await operator.change(channel, routes=[{"host_ids": ["web-1", "web-2"]}])) == ["routes.0.host_ids"]


async def test_it_is_seen_at_a_glance_which_channel_is_broken(operator: Operator) -> None:
    world, start = operator.world, operator.world.clock.now
    works, broken = [UUID((await operator.created(name=name))["id"]) for name in ("works", "broken")]
    minutes = [start + timedelta(minutes=number) for number in range(10)]
    sent = await add_message(world, works, at=start, state="delivered", attempts=2)
    await add_attempt(world, sent, 1, at=minutes[0], outcome="failed", detail="503")
    await add_attempt(world, sent, 2, at=minutes[1], outcome="delivered")
    early = await add_message(world, broken, at=start, state="delivered", attempts=1)
    await add_attempt(world, early, 1, at=minutes[2], outcome="delivered")
    lost = await add_message(world, broken, at=start, state="given_up", attempts=2)
    await add_attempt(world, lost, 1, at=minutes[3], outcome="failed", detail="refused")
    await add_attempt(world, lost, 2, at=minutes[4], outcome="given_up", detail="it was too old")
    for host_id in ("web-1", "web-2"):
        await add_message(world, broken, host_id, at=start)

    seen = {channel["name"]: channel for channel in await operator.listed()}

    def text(number: int) -> str:
        return str(minutes[number].isoformat().replace("+00:00", "Z"))

    assert seen["works"]["waiting"] == 0
    assert seen["works"]["last_delivered_at"] == text(1)
    assert seen["works"]["last_failure"] == {"at": text(0), "detail": "503"}
    assert seen["broken"]["waiting"] == 2
    assert seen["broken"]["last_delivered_at"] == text(2)
    assert seen["broken"]["last_failure"] == {"at": text(4), "detail": "it was too old"}


async def test_a_test_waits_to_be_sent(operator: Operator) -> None:
    channel = await operator.created(routes=[])
    told: list[str] = []
    await operator.world.admin.add_listener("infrawatch_notices", lambda *notice: told.append(notice[3]))

    answer = await operator.act(channel, "test")

    assert answer.status_code == 202
    row = await operator.world.admin.fetchrow("SELECT * FROM notifications")
    assert str(row["id"]) == answer.json()["notification_id"]
    assert (str(row["channel_id"]), row["channel"], row["host_id"]) == (channel["id"], "ops", None)
    assert (row["state"], row["attempts"], row["next_attempt_at"]) == ("waiting", 0, operator.world.clock.now)
    assert json.loads(row["message"])["type"] == "test"
    asker = await operator.world.admin.fetchval("SELECT email FROM users WHERE id = $1", row["requested_by"])
    assert asker == operator.email
    assert told == ["notifications"]
    assert (await operator.read(channel))["waiting"] == 1


async def test_nothing_is_sent_to_a_channel_that_is_disabled(operator: Operator) -> None:
    channel = await operator.created(enabled=False)

    assert (await operator.act(channel, "test")).status_code == 409
    assert await operator.world.admin.fetchval("SELECT count(*) FROM notifications") == 0


async def test_messages_outlive_their_channel(operator: Operator) -> None:
    channel = await operator.created()
    await operator.act(channel, "test")

    assert (await operator.world.call("DELETE", f"{CHANNELS}/{channel['id']}", operator.token)).status_code == 204

    assert await operator.listed() == []
    assert await operator.world.admin.fetchval("SELECT channel FROM notifications") == "ops"
    assert (await operator.create()).status_code == 201


async def test_a_channel_that_is_not_there_is_a_404(operator: Operator) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("POST", "/secret", None),
    ):
        answer = await operator.world.call(method, NOBODY + path, operator.token, json=body)
        assert answer.status_code == 404, (method, path, answer.text)


async def test_there_are_most_numbers(make_world: Any) -> None:
    world = await make_world(channels_max=2, channel_routes_max=2, match_ids_max=1)
    email = await world.add_user("operator")
    operator = Operator(world, email, await world.session(email))

    answers = await asyncio.gather(*(operator.create(name=str(number)) for number in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "INFRAWATCH_CHANNELS_MAX" in refused.json()["detail"]
    assert fields_of(await operator.create(routes=[{}] * 3)) == ["routes"]
    assert fields_of(await operator.create(routes=[{"host_ids": ["a", "b"]}])) == ["routes.0.host_ids"]


async def test_channels_come_newest_first_in_pages(operator: Operator) -> None:
    for number in range(5):
        await operator.created(name=f"channel {number}")
        operator.world.clock.advance(number % 2)

    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await operator.world.get(CHANNELS, operator.token, params=query)).json()
        seen += [channel["id"] for channel in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    everything = await operator.listed()
    order = sorted(everything, key=lambda channel: (channel["created_at"], channel["id"]), reverse=True)
    assert seen == [channel["id"] for channel in order]


async def test_what_was_encrypted_with_another_key_is_said_so(operator: Operator) -> None:
    channel, mail = await operator.created(), await operator.created(**MAIL)
    await operator.world.admin.execute("UPDATE channels SET sealed = $1", Sealer(b"x" * 32).seal(Secrets("x", "y")))

    answers = [await operator.act(channel, "secret"), await operator.change(channel, url="https://x.example.org")]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert (await operator.change(channel, name="x")).status_code == 200
    assert (await operator.change(mail, url=MAIL["url"])).status_code == 200
    assert await operator.secrets(mail) == Secrets(MAIL["url"])


async def test_the_audit_log_tells_what_was_done(operator: Operator) -> None:
    channel = await operator.created()
    tested = (await operator.act(channel, "test")).json()
    await operator.act(channel, "secret")
    await operator.world.call("DELETE", f"{CHANNELS}/{channel['id']}", operator.token)

    noted = {what: await operator.world.audit(f"channel.{what}") for what in ("created", "tested", "secret_replaced")}
    (deleted,) = await operator.world.audit("channel.deleted")
    assert {row["target"] for (row,) in noted.values()} | {deleted["target"]} == {channel["id"]}
    assert {row["actor"] for (row,) in noted.values()} == {operator.email}
    assert json.loads(noted["tested"][0]["detail"]) == {"name": "ops", **tested}
    assert json.loads(noted["created"][0]["detail"]) == json.loads(deleted["detail"])
    assert json.loads(deleted["detail"])["target"] == "https://hooks.example.org/…"


async def test_secrets_are_nowhere_but_where_they_are_told_once(operator: Operator, capfd: Any) -> None:
    channel, mail = await operator.created(), await operator.created(**MAIL)
    signing = channel["signing_secret"]
    answers = [
        await operator.create(url="https://canary04@hooks.example.org", name="bad"),
        await operator.create(kind="apprise", url="mailtos://canary04:canary04@[", name="bad"),
        await operator.create(kind="apprise", url="slack://canary04", name="bad"),
        await operator.change(channel, url="https://hooks.example.org/canary05"),
        await operator.change(mail, url=MAIL["url"], enabled=False),
        await operator.act(channel, "test"),
        await operator.world.get(CHANNELS, operator.token),
        await operator.world.get(f"{CHANNELS}/{mail['id']}", operator.token),
        await operator.world.get("/api/v1/audit-log", await operator.world.signed_in("admin")),
    ]
    replaced = (await operator.act(channel, "secret")).json()["signing_secret"]
    dump = [json.dumps(shown(channel)), json.dumps(shown(mail)), *(answer.text for answer in answers)]
    for table in ("audit_log", "notifications", "deliveries", "channels"):
        dump += [row[0] for row in await operator.world.admin.fetch(f"SELECT t::text FROM {table} AS t")]
    dump += capfd.readouterr()

    assert [secret for secret in [*CANARIES, signing, replaced] if any(secret in part for part in dump)] == []
