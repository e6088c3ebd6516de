"""The checker of promises 1 and 2: what the broker acknowledged, against what the database holds."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from infrawatch_common.events import HostKey
from records import body, host_key, sample, signature
from stack import Database, Topics

_ID = re.compile(rb'"id":"([0-9a-f-]{36})"')


@dataclass(frozen=True)
class Verdict:
    """What is wrong between acknowledgement and database; all empty when the promises hold."""

    lost: frozenset[str]
    doubled: frozenset[str]
    unknown: frozenset[str]

    @property
    def kept(self) -> bool:
        """Whether every acknowledged record is there once, and nothing else."""
        return not (self.lost or self.doubled or self.unknown)


def compare(acknowledged: Iterable[str], attempted: Iterable[str], stored: Iterable[str]) -> Verdict:
    """``stored`` are the ids of rows and dead letters, as often as they occur.

    A record that was sent and not acknowledged may be there or not.
    """
    counts = Counter(stored)
    return Verdict(
        lost=frozenset(acknowledged) - counts.keys(),
        doubled=frozenset(name for name, count in counts.items() if count > 1),
        unknown=frozenset(counts) - frozenset(attempted),
    )


Shape = Callable[[dict[str, Any]], Sequence[dict[str, Any]]]
Form = Callable[[dict[str, Any]], bytes]  # how a record is written as JSON


def as_it_is(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """One sample is one record."""
    return [record]


@dataclass
class Load:
    """Sends signed samples of several hosts and remembers what was acknowledged."""

    topics: Topics
    hosts: int = 20
    form: Form = body
    acknowledged: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    _sequence: Counter[str] = field(default_factory=Counter)

    @property
    def topic(self) -> str:
        """Where the records go."""
        return self.topics.metrics

    @property
    def host_ids(self) -> list[str]:
        """The hosts that send."""
        return [f"host-{number}" for number in range(self.hosts)]

    def next_record(self, host: str, **changes: Any) -> dict[str, Any]:
        """The next sample of a host, stamped now."""
        self._sequence[host] += 1
        return sample(host, self._sequence[host], datetime.now(UTC), **changes)

    async def send(self, producer: AIOKafkaProducer, rounds: int, shape: Shape = as_it_is) -> None:
        """Send ``rounds`` records of every host, and wait for each to be acknowledged.

        ``shape`` makes of each record what is sent instead: the same twice, for instance.
        """
        waiting = []
        for _ in range(rounds):
            for host in self.host_ids:
                for record in shape(self.next_record(host)):
                    self.attempted.add(record["id"])
                    waiting.append((record, await send(producer, self.topics, record, form=self.form)))
        for record, future in waiting:
            await future
            self.note(record)

    def note(self, record: dict[str, Any]) -> None:
        """This record was acknowledged."""
        self.acknowledged.add(record["id"])

    async def verdict(self, database: Database) -> Verdict:
        """The comparison now."""
        return compare(self.acknowledged, self.attempted, await stored_ids(database))


async def send(
    producer: AIOKafkaProducer, topics: Topics, record: dict[str, Any], key: HostKey | None = None, form: Form = body
) -> Any:
    """Send one record, a sample or a snapshot, as its host would; the future of its acknowledgement."""
    topic = topics.snapshots if "packages" in record else topics.metrics
    value = form(record)
    header = signature(key or host_key(record["host_id"]), value, topic)
    return await producer.send(topic, value, key=record["host_id"].encode(), headers=[header])


_IDS = "SELECT id::text FROM metrics UNION ALL SELECT id::text FROM snapshot_sightings"


async def stored_ids(database: Database) -> list[str]:
    """The ids of all rows and of all dead letters that have one; of snapshots, a row is a sighting."""
    async with database.admin() as connection:
        rows = await connection.fetch(_IDS)
        letters = await connection.fetch("SELECT value FROM dead_letters")
    named = (_ID.search(letter["value"] or b"") for letter in letters)
    return [row[0] for row in rows] + [found[1].decode() for found in named if found]


def producer(topics: Topics) -> AIOKafkaProducer:
    """A producer that waits for all replicas and makes no duplicates of its own."""
    return AIOKafkaProducer(
        bootstrap_servers=topics.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        request_timeout_ms=180_000,  # longer than any outage that a test makes
        max_batch_size=65_536 - 1024,
        max_request_size=16 * 2**20,  # so that what is too large is refused by the broker
    )
