"""A batch consumer without a broker, which notes what it does, for tests of the order of its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.metrics import ConsumerMetrics
from records import FakeMessage

PARTITION = TopicPartition("infrawatch.metrics.v1", 0)


class FakeConsumer:
    """A consumer that owns one partition and notes what is committed."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.owned = {PARTITION}
        self.refuse: Exception | None = None
        self.last: int | None = None
        self.asked = 0
        self.generation = 1
        self._performed_join_prepare = False
        self._coordinator = self

    def assignment(self) -> set[TopicPartition]:
        return self.owned

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.last = offsets[PARTITION]
        self.log.append(("committed", self.last))

    async def committed(self, _partition: TopicPartition) -> int | None:
        self.asked += 1
        return self.last


class World:
    """A batch consumer whose batches are the messages themselves."""

    def __init__(
        self,
        write: Callable[[Any], Awaitable[None]] | None = None,
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.log: list[Any] = []
        self.consumer: Any = FakeConsumer(self.log)
        self.metrics = ConsumerMetrics("test", CollectorRegistry())
        self.under_test: BatchConsumer[Any] = BatchConsumer(
            self._prepare, write or self.write, self.metrics, 60, flush=flush
        )
        self.under_test.attach(self)

    async def _prepare(self, records: Any) -> Any:
        self.log.append(("prepared", records[-1].offset))
        return records

    async def write(self, records: Any) -> None:
        await asyncio.sleep(0)
        self.log.append(("written", records[-1].offset))

    async def handle(self, *offsets: int) -> None:
        records: Any = tuple(FakeMessage(b"", offset=offset) for offset in offsets)
        await self.under_test.handle(records)
