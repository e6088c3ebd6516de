"""A topic full of signed records, and the rows that they are to become."""

import asyncio
import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from bench.busy import CPU, is_busy
from infrawatch_common.events import HostKey
from infrawatch_local.stack import Stack
from ledger import producer
from records import body, host_key, sample, signature
from stack import Topics, fresh_topics

PARTITIONS = 12
COLUMNS = ("id", "host_id", "timestamp", "cpu", "memory", "disk", "uptime")
_SPACING = timedelta(milliseconds=7)  # between records, up to now; half a million cover an hour
_INTERVAL = timedelta(seconds=10)  # of hosts whose samples are judged, at most: more would be a gap
_RUN = 10_000


class Repeats(StrEnum):
    """Which records are on the topic twice: a tenth of them, or none."""

    NONE = "none"
    SCATTERED = "scattered"  # every tenth record comes twice, so that no batch is free of duplicates
    IN_RUNS = "in runs"  # after 10,000 records the last 1,000 come again, as after a crash


@dataclass(frozen=True)
class Kind:
    """What makes one backlog differ from another."""

    hosts: int
    records: int  # different ones
    repeats: Repeats = Repeats.NONE
    busy: bool = False  # whether one sample in a hundred is over a threshold, as `bench.busy` says

    @property
    def spacing(self) -> timedelta:
        """Between two records."""
        return min(_SPACING, _INTERVAL / self.hosts) if self.busy else _SPACING


@dataclass(frozen=True)
class Backlog:
    """What is on a topic; ``rows`` is the CSV file of the different records, one row each."""

    kind: Kind
    topics: Topics
    rows: Path


def host_keys(hosts: int) -> list[HostKey]:
    """The keys of the hosts that write a backlog."""
    return [host_key(f"host-{number}") for number in range(hosts)]


async def preload(stack: Stack, kind: Kind, directory: Path) -> Backlog:
    """Put the records on a new topic; the time that it takes is nobody's result."""
    topics = await fresh_topics(stack, PARTITIONS)
    exchange = directory / "exchange"
    exchange.mkdir(exist_ok=True)
    rows = exchange / f"{topics.metrics}.csv"
    with ExitStack() as files:
        write = csv.writer(files.enter_context(rows.open("w", newline=""))).writerow
        async with producer(topics) as sending:
            batches = _Batches(sending, topics.metrics)
            for record, again in _stream(kind, datetime.now(UTC) - kind.records * kind.spacing):
                if not again:
                    write([record[name] for name in COLUMNS])
                await batches.add(record)
            await batches.flush()
    return Backlog(kind, topics, rows)


def _stream(kind: Kind, start: datetime) -> Iterator[tuple[dict[str, Any], bool]]:
    """The records in the order in which they are sent, each with whether it was sent before."""
    run: list[dict[str, Any]] = []
    for number in range(kind.records):
        sequence, host = divmod(number, kind.hosts)
        record = sample(f"host-{host}", sequence, start + number * kind.spacing)
        if kind.busy and is_busy(host, sequence):
            record["cpu"] = CPU
        yield record, False
        if kind.repeats is Repeats.SCATTERED and number % 10 == 9:
            yield record, True
        if kind.repeats is Repeats.IN_RUNS:
            run.append(record)
            if len(run) == _RUN:
                yield from ((repeated, True) for repeated in run[-_RUN // 10 :])
                run.clear()


class _Batches:
    """Fills a batch for each partition by hand: to send records one by one takes five times as long."""

    def __init__(self, sending: AIOKafkaProducer, topic: str) -> None:
        self._sending = sending
        self._topic = topic
        self._keys: dict[str, tuple[HostKey, int]] = {}
        self._open: dict[int, Any] = {}
        self._sent: list[asyncio.Future[Any]] = []

    async def add(self, record: dict[str, Any]) -> None:
        key, partition = self._key(record["host_id"])
        value = body(record)
        headers = [signature(key, value, self._topic)]
        if not self._append(partition, key.host_id.encode(), value, headers):
            await self._send(partition)
            assert self._append(partition, key.host_id.encode(), value, headers), "a record is larger than a batch"

    async def flush(self) -> None:
        """Send what is left, and wait until everything is acknowledged."""
        for partition in list(self._open):
            await self._send(partition)
        await asyncio.gather(*self._sent)

    def _append(self, partition: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> bool:
        if partition not in self._open:
            self._open[partition] = self._sending.create_batch()
        return self._open[partition].append(key=key, value=value, timestamp=None, headers=headers) is not None

    async def _send(self, partition: int) -> None:
        batch = self._open.pop(partition)
        batch.close()
        self._sent.append(await self._sending.send_batch(batch, self._topic, partition=partition))

    def _key(self, host_id: str) -> tuple[HostKey, int]:
        if host_id not in self._keys:
            partition = (murmur2(host_id.encode()) & 0x7FFF_FFFF) % PARTITIONS
            self._keys[host_id] = host_key(host_id), partition
        return self._keys[host_id]
