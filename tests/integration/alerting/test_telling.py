"""From an event to a message to its delivery, in the real database: once, in order, whoever dies in between."""

import asyncio
import json
from datetime import datetime

import pytest
from notifying import MINUTE, SECOND, Teller

from infrawatch_alerting.store_messages import MessageStore
from infrawatch_common.notices.sealing import Sealer, Secrets
from records import NOW


@pytest.fixture
def world(teller: Teller) -> Teller:
    return teller


async def test_what_fires_and_what_ends_is_told_to_every_channel_that_it_is_routed_to(world: Teller) -> None:
    await world.channel("all")
    await world.channel("critical", '[{"severities": ["critical"]}]')
    await world.channel("info", '[{"severities": ["info"]}]')
    await world.fire("web-1")
    await world.tell()
    world.now += MINUTE
    await world.resolve("web-1")
    await world.tell()
    assert world.receivers.told("all") == world.receivers.told("critical")
    assert world.receivers.told("all") == [("web-1", ["fired"]), ("web-1", ["resolved"])]
    assert world.receivers.told("info") == []
    assert await world.admin.fetchval("SELECT count(*) FROM notices") == 0
    assert await world.admin.fetchval("SELECT count(*) FROM notice_hosts") == 0


async def test_the_message_says_what_happened(world: Teller) -> None:
    await world.admin.execute("INSERT INTO hosts (id, name, tags) VALUES ('web-1', 'Web one', '{\"env\": \"prod\"}')")
    await world.channel("all")
    await world.fire("web-1")
    await world.tell()
    ((_, key, body),) = world.receivers.got
    assert body["id"] == str(key)
    assert body["host"] == {"id": "web-1", "name": "Web one", "tags": {"env": "prod"}}
    assert body["late"] is False
    (item,) = body["items"]
    assert item["event"]["name"] == "cpu high"
    assert datetime.fromisoformat(item["event"]["fired_at"]) == NOW
    assert "cpu high" in body["title"] + body["text"]


async def test_a_broken_channel_is_tried_again_later_each_time_and_delays_no_other(world: Teller) -> None:
    await world.channel("broken")
    await world.channel("sound")
    world.receivers.broken = {"broken"}
    await world.fire("web-1")
    await world.tell()
    assert world.receivers.told("sound") == [("web-1", ["fired"])]
    for seconds, tried in ((0, 1), (1, 2), (1, 2), (1, 3)):
        world.now += seconds * SECOND
        await world.send()
        assert world.receivers.tried.count("broken") == tried
    world.receivers.broken.clear()
    world.now += 4 * SECOND
    await world.send()
    assert world.receivers.told("broken") == [("web-1", ["fired"])]
    assert [one for one in await world.attempts() if one[1] == "failed"] == [
        (number, "failed", "answered 503") for number in (1, 2, 3)
    ]
    assert len({key for _, key, _ in world.receivers.got}) == 2


async def test_a_channel_that_hangs_delays_no_other(world: Teller) -> None:
    await world.channel("hangs")
    await world.channel("sound")
    world.receivers.slow["hangs"] = asyncio.Event()
    await world.fire("web-1", *(f"db-{number}" for number in range(20)))
    await world.notifier.tell()
    await world.dispatcher.send_due()
    async with asyncio.timeout(60):
        while len(world.receivers.told("sound")) < 21:
            await world.dispatcher.send_due()
    assert world.receivers.tried.count("hangs") == world.settings.notify_concurrency
    world.receivers.slow["hangs"].set()
    await world.send()
    assert len(world.receivers.told("hangs")) == 21


async def test_messages_about_a_host_arrive_in_order_though_the_first_fails(world: Teller) -> None:
    await world.channel("mail")
    world.receivers.broken = {"mail"}
    await world.fire("web-1")
    await world.tell()
    await world.resolve("web-1")
    await world.tell()
    world.receivers.broken.clear()
    world.now += 10 * SECOND
    await world.send()
    assert world.receivers.told("mail") == [("web-1", ["fired"]), ("web-1", ["resolved"])]


async def test_a_crash_between_sending_and_noting_it_sends_again_with_the_same_key_once_the_lease_is_over(
    world: Teller,
) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    claimed = await MessageStore(world.pool).claim(
        await world.admin.fetchval("SELECT id FROM channels"), world.now, world.now + 15 * SECOND, 8
    )
    await world.send(world.make_dispatcher())
    assert not world.receivers.got
    world.now += 15 * SECOND
    await world.send(world.make_dispatcher())
    ((_, key, _),) = world.receivers.got
    assert [key] == [one.notification_id for one in claimed]
    assert await world.attempts() == [(1, None, None), (2, "delivered", None)]


async def test_replicas_share_hosts_and_messages_and_tell_each_once(world: Teller) -> None:
    await world.channel("mail")
    hosts = [f"web-{number}" for number in range(250)]
    await world.fire(*hosts)
    await asyncio.gather(*(world.make_notifier().tell() for _ in range(3)))
    await asyncio.gather(*(world.send(world.make_dispatcher()) for _ in range(3)))
    assert sorted(host for host, _ in world.receivers.told("mail")) == sorted(hosts)


async def test_what_cannot_be_delivered_in_time_is_given_up_and_the_next_message_goes(world: Teller) -> None:
    await world.channel("mail")
    world.receivers.broken = {"mail"}
    await world.fire("web-1")
    await world.tell()
    world.now += 3600 * SECOND
    await world.resolve("web-1")
    world.receivers.broken.clear()
    await world.tell()
    assert world.receivers.told("mail") == [("web-1", ["resolved"])]
    assert (2, "given_up", "it could not be delivered within 3600 s") in await world.attempts()


async def test_messages_to_a_channel_that_is_deleted_are_given_up(world: Teller) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    await world.admin.execute("DELETE FROM channels")
    await world.send()
    assert await world.attempts() == [(1, "given_up", "its channel was deleted")]


async def test_a_channel_that_is_disabled_waits(world: Teller) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    await world.admin.execute("UPDATE channels SET enabled = false")
    await world.send()
    assert not world.receivers.tried
    await world.admin.execute("UPDATE channels SET enabled = true")
    await world.send()
    assert world.receivers.told("mail") == [("web-1", ["fired"])]


async def test_an_address_that_cannot_be_opened_fails_with_the_reason(world: Teller) -> None:
    await world.channel("mail", sealed=Sealer(b"another master secret of thirty-two").seal(Secrets("mail")))
    await world.fire("web-1")
    await world.tell()
    ((_, outcome, detail),) = await world.attempts()
    assert outcome == "failed"
    assert "INFRAWATCH_HOST_KEY_SECRET" in str(detail)


async def test_a_silence_hides_and_when_it_ends_what_still_fires_is_told(world: Teller) -> None:
    await world.channel("mail")
    await world.admin.execute(
        "INSERT INTO silences (match, reason, starts_at, ends_at) VALUES ($1, 'work', $2, $3)",
        json.dumps({"host_ids": ["web-1"]}), NOW, NOW + 5 * MINUTE,
    )  # fmt: skip
    await world.fire("web-1", "web-2")
    await world.tell()
    assert world.receivers.told("mail") == [("web-2", ["fired"])]
    world.now += 5 * MINUTE
    await world.tell()
    assert world.receivers.told("mail")[1:] == [("web-1", ["no_longer_silenced"])]


async def test_a_silence_that_is_ended_early_tells_at_once(world: Teller) -> None:
    await world.channel("mail")
    await world.admin.execute(
        "INSERT INTO silences (match, reason, starts_at, ends_at) VALUES ('{}', 'work', $1, $2)", NOW, NOW + 5 * MINUTE
    )
    await world.fire("web-1")
    await world.tell()
    world.now += MINUTE
    await world.admin.execute("UPDATE silences SET ends_at = $1", world.now)
    await world.tell()
    assert world.receivers.told("mail") == [("web-1", ["no_longer_silenced"])]


async def test_what_fires_on_is_told_again_at_the_repeat_interval(world: Teller) -> None:
    await world.channel("mail", repeat_interval=10 * MINUTE)
    await world.fire("web-1")
    await world.tell()
    world.now += 9 * MINUTE
    await world.tell()
    assert len(world.receivers.got) == 1
    world.now += MINUTE
    await world.tell()
    assert world.receivers.told("mail")[1:] == [("web-1", ["still_firing"])]


async def test_a_host_is_looked_at_when_it_is_due_and_no_earlier(world: Teller) -> None:
    await world.channel("mail", repeat_interval=3 * SECOND)
    await world.fire("web-1")
    assert await world.notifier.tell() == 3.0
    world.now += 1 * SECOND
    assert await world.notifier.tell() == 2.0


async def test_deleting_a_channel_and_telling_at_the_same_time_block_nobody(world: Teller) -> None:
    await world.channel("mail")
    await world.channel("other")
    await world.fire(*(f"web-{number}" for number in range(100)))

    async def delete() -> None:
        await world.pool.fetchval("SELECT 1")
        await world.admin.execute("DELETE FROM channels WHERE name = 'other'")

    async with asyncio.timeout(60):
        await asyncio.gather(delete(), world.notifier.tell(), world.make_notifier().tell())
    await world.send()
    assert len(world.receivers.told("mail")) == 100
