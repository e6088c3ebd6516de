"""Silence that is nobody's but ours: what the broker tells of the time in which alerting did not look."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from evaluating import SECOND, World
from infrawatch_alerting.pauses import find_pauses
from records import NOW
from stack import Topics


class Broker:
    """Tells pauses, and notes what it was asked; seconds are from NOW."""

    def __init__(self, *pauses: tuple[float, float]) -> None:
        self.pauses = pauses
        self.asked: list[tuple[float, float]] = []

    async def find_pauses(self, begin: float, end: float) -> Sequence[tuple[float, float]]:
        zero = NOW.timestamp()
        self.asked.append((begin - zero, end - zero))
        return [(start + zero, until + zero) for start, until in self.pauses]


async def test_what_nobody_sent_while_alerting_was_down_is_no_silence(world: World) -> None:
    await world.rule("heartbeat", 60)
    await (await world.replica()).take(*world.every_ten(0, 0))
    broker, replica = Broker((11, 495)), await world.replica()
    replica.handler.find_pauses = broker.find_pauses
    world.now = NOW + 500 * SECOND
    await replica.handler.tell_silence(world.now, None)
    await replica.take(world.record(500, 0))
    assert await world.events() == []
    assert broker.asked == [(11 - 60, 500)]


async def test_what_others_sent_meanwhile_makes_it_the_hosts_own(world: World) -> None:
    await world.rule("heartbeat", 60)
    await (await world.replica()).take(*world.every_ten(0, 0))
    replica = await world.replica()
    replica.handler.find_pauses = Broker().find_pauses
    await replica.take(world.record(500, 0))
    assert await world.events() == [("host-a", 70, 500, "heard")]


async def test_it_is_asked_after_a_start_and_after_every_time_without_a_look(world: World) -> None:
    await world.rule("heartbeat", 3600)
    broker, replica = Broker(), await world.replica()
    replica.handler.find_pauses = broker.find_pauses

    async def at(second: float, *, looks: bool = True) -> int:
        world.now = NOW + second * SECOND
        if looks:
            replica.handler.looks()
        await replica.take(world.record(second, 0))
        return len(broker.asked)

    assert await at(0) == 0, "no host was known"
    assert [await at(second) for second in (10, 20, 40, 60, 90)] == [0] * 5, "it looks all the time"
    assert await at(125, looks=False) == 1, "it has not looked for 35 s"
    assert await at(130) == 1
    assert await at(200) == 2, "nor before this look"
    replica.handler.assign([0], 1)
    assert await at(210) == 2, "what is read again was looked at"


async def test_the_broker_tells_when_nothing_was_appended(topics: Topics) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=topics.bootstrap_servers)
    await producer.start()
    try:
        sent = [await producer.send_and_wait(topics.metrics, b"x") for _ in range(20)]
    finally:
        await producer.stop()
    first = min(one.timestamp for one in sent) / 1000
    consumer = AIOKafkaConsumer(topics.metrics, bootstrap_servers=topics.bootstrap_servers)
    await consumer.start()
    try:
        found = await find_pauses(SimpleNamespace(consumer=consumer), 30, first - 1000, first + 1000)
    finally:
        await consumer.stop()
    (before, after) = found
    assert before == (first - 1000, first)
    assert after[1] == first + 1000
    assert first <= after[0] < first + 60


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError()])
async def test_a_broker_that_does_not_tell_leaves_all_of_it_unknown(error: Exception) -> None:
    async def fail(_: Any) -> None:
        raise error

    consumer: Any = SimpleNamespace(assignment=lambda: {TopicPartition("t", 0)}, offsets_for_times=fail)
    assert await find_pauses(SimpleNamespace(consumer=consumer), 30, 0, 1000) == [(0, 1000)]
