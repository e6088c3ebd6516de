"""Simulated agents: each with its own key, instance and sequence, sending at its own pace."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaProducer

from ledger import producer
from records import body, host_key, sample, signature
from stack import Topics

Sample = dict[str, Any]


class Agents:
    """So many agents over a few connections; ``sent`` and ``acknowledged`` hear of every record as it happens.

    ``values`` says what a host, counted from 0, measures at a time (Unix).
    """

    def __init__(
        self,
        topics: Topics,
        count: int,
        connections: int = 10,
        *,
        values: Callable[[int, float], Mapping[str, float]] = lambda _host, _at: {},
        sent: Callable[[Sample], None] = lambda _: None,
        acknowledged: Callable[[Sample], None] = lambda _: None,
    ) -> None:
        self._topics = topics
        self._count = count
        self._connections = connections
        self._values = values
        self._sent = sent
        self._acknowledged = acknowledged
        self._random = random.Random(4)

    async def run(self, interval: float, seconds: float) -> None:
        """Send a sample every ``interval`` from each agent, spread evenly and up to a tenth of it early or late."""
        producers = [producer(self._topics) for _ in range(self._connections)]
        await asyncio.gather(*(each.start() for each in producers))
        try:
            async with asyncio.TaskGroup() as group:
                begin = time.monotonic()
                for number in range(self._count):
                    due = begin + interval * number / self._count
                    agent = self._agent(number, producers[number % self._connections], interval, due, begin + seconds)
                    group.create_task(agent)
        finally:
            await asyncio.gather(*(each.stop() for each in producers))

    async def _agent(self, number: int, sending: AIOKafkaProducer, interval: float, due: float, end: float) -> None:
        key = host_key(f"host-{number}")
        instance = str(UUID(int=self._random.getrandbits(128)))
        sequence = 0
        waiting: set[asyncio.Future[Any]] = set()
        while due < end:
            await asyncio.sleep(due + self._random.uniform(-0.1, 0.1) * interval - time.monotonic())
            stamp = {"instance": instance, "sequence": sequence}
            now = datetime.now(UTC)
            record = sample(key.host_id, sequence, now, agent=stamp, **self._values(number, now.timestamp()))
            value = body(record)
            self._sent(record)
            future = await sending.send(
                self._topics.metrics,
                value,
                key=key.host_id.encode(),
                headers=[signature(key, value, self._topics.metrics)],
            )
            waiting.add(future)
            future.add_done_callback(lambda done, record=record: self._settle(done, record, waiting))
            sequence += 1
            due += interval
        await asyncio.gather(*waiting)

    def _settle(self, done: "asyncio.Future[Any]", record: Sample, waiting: set["asyncio.Future[Any]"]) -> None:
        if done.exception() is None:
            waiting.discard(done)
            self._acknowledged(record)


def host_key_pairs(count: int) -> list[tuple[str, str]]:
    """Key id and host id of each agent."""
    return [(host_key(f"host-{number}").id, f"host-{number}") for number in range(count)]
