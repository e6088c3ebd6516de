"""Watches services and their consumer group while a fault goes on: twice a second, in the test's own event loop."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from faults.verdicts import Reading, Vitals
from stack import Service, Topics

_INTERVAL = 0.5
_HEALTH_TIMEOUT = 3.0
_BROKER_TIMEOUT = 2.0
_STORED = re.compile(r'^infrawatch_ingest_records_total\{outcome="stored"\} (\S+)$', re.MULTILINE)


class Watch:
    """Fills ``vitals`` and ``readings`` between entering and leaving."""

    def __init__(self, services: Callable[[], Sequence[Service]], topics: Topics, topic: str, group: str) -> None:
        """``topic`` is the one of ``topics`` that the group reads."""
        self.vitals: list[Vitals] = []
        self.readings: list[Reading] = []
        self._services = services
        self._topics = topics
        self._topic = topic
        self._group = group
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT))
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._topics.bootstrap_servers)
        await self._admin.start()
        self._stack.push_async_callback(self._admin.close)
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._topics.bootstrap_servers)
        await self._consumer.start()
        self._stack.push_async_callback(self._consumer.stop)
        (topic,) = await self._admin.describe_topics([self._topic])
        self._partitions = [TopicPartition(topic["topic"], one["partition"]) for one in topic["partitions"]]
        assert self._partitions
        self._tasks = [asyncio.create_task(self._watch_services()), asyncio.create_task(self._watch_group())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def read_group(self) -> Reading | None:
        """The group now; None while no broker tells."""
        try:
            async with asyncio.timeout(_BROKER_TIMEOUT):
                offsets = await self._admin.list_consumer_group_offsets(self._group)
                ends = await self._consumer.end_offsets(self._partitions)
        except (KafkaError, OSError, TimeoutError):
            return None
        committed = {where.partition: meta.offset for where, meta in offsets.items() if meta.offset >= 0}
        return Reading(time.monotonic(), committed, {where.partition: end for where, end in ends.items()})

    async def _watch_group(self) -> None:
        while True:
            if (reading := await self.read_group()) is not None:
                self.readings.append(reading)
            await asyncio.sleep(_INTERVAL)

    async def _watch_services(self) -> None:
        asking: dict[int, asyncio.Task[None]] = {}
        while True:
            for service in self._services():
                pid = service.running_pid
                if pid is not None and (pid not in asking or asking[pid].done()):
                    if pid in asking:
                        asking[pid].result()
                    asking[pid] = asyncio.create_task(self._examine(service, pid))
            await asyncio.sleep(_INTERVAL)

    async def _examine(self, service: Service, pid: int) -> None:
        process = Path(f"/proc/{pid}")
        asked = time.monotonic()
        checks = await self._readiness(service)
        stored = await self._stored(service) if checks is not None else None
        stored_at = time.monotonic()
        with suppress(OSError, KeyError):  # it ended meanwhile
            status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
            self.vitals.append(
                Vitals(
                    at=asked,
                    pid=pid,
                    rss=int(status["VmRSS"].split()[0]) * 1024,
                    descriptors=sum(1 for _ in (process / "fd").iterdir()),
                    threads=int(status["Threads"]),
                    checks=checks,
                    stored=stored,
                    stored_at=stored_at,
                )
            )

    async def _readiness(self, service: Service) -> dict[str, str] | None:
        try:
            async with self._http.get(f"{service.url}/health/ready") as response:
                return dict((await response.json())["checks"])
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def _stored(self, service: Service) -> float | None:
        try:
            async with self._http.get(f"{service.url}/metrics") as response:
                found = _STORED.search(await response.text())
        except (aiohttp.ClientError, TimeoutError):
            return None
        return float(found[1]) if found else None
