"""What a scenario has in hand: servers, a database and topics of its own, services, load, and what it breaks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg
from aiokafka import AIOKafkaProducer

from faults.proxy import FaultProxy
from faults.servers import FaultyStack
from faults.snapshot_load import SnapshotLoad
from faults.verdicts import Check, Reading, Span, Vitals, recovery
from faults.watch import Watch
from ledger import Load, Shape, as_it_is, producer
from records import host_key
from stack import (
    Database,
    Service,
    Topics,
    alerting_environment,
    drift_environment,
    eventually,
    fresh_database,
    fresh_topics,
    ingest_environment,
)

T = TypeVar("T")

SESSION_TIMEOUT = 6.0  # of every consumer here: the shortest that the settings allow
_TICK = 0.1
_ENVIRONMENTS = {"ingest": ingest_environment, "alerting": alerting_environment, "drift": drift_environment}


@dataclass(frozen=True)
class Scale:
    """How long a scenario goes on: 1 is the fault matrix's own, 0 the shortest that still shows the fault."""

    factor: float

    def seconds(self, full: float, at_least: float) -> float:
        """A duration."""
        return max(at_least, full * self.factor)

    def times(self, full: int, at_least: int) -> int:
        """A number of repetitions."""
        return max(at_least, round(full * self.factor))


@dataclass
class World:
    """One scenario's own."""

    stack: FaultyStack
    directory: Path
    scale: Scale
    database: Database
    topics: Topics
    load: Load
    cleanup: ExitStack
    consumer: str = "ingest"  # the service whose group is watched
    services: list[Service] = field(default_factory=list)
    faults: list[Span] = field(default_factory=list)
    stops: list[tuple[float, int]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    healed_at: float = 0.0
    make_service: Callable[..., Service] = Service
    _down: list[Service] = field(default_factory=list)
    _crashes: list[tuple[str, int | None]] = field(default_factory=list)
    _rate: float = 0.0
    _watch: Watch | None = None

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.topics.metrics}-{self.consumer}"

    @property
    def vitals(self) -> Sequence[Vitals]:
        """What the processes showed."""
        assert self._watch is not None
        return self._watch.vitals

    @property
    def readings(self) -> Sequence[Reading]:
        """What the group showed."""
        assert self._watch is not None
        return self._watch.readings

    @property
    def baseline(self) -> int:
        """The lag that is none: two seconds of the load."""
        return round(2 * self._rate) + 1

    def environment(
        self, database: FaultProxy | None = None, broker: str | None = None, **settings: object
    ) -> dict[str, str]:
        """Of a consumer that reaches the database or the broker through a proxy, if one is given."""
        made = _ENVIRONMENTS[self.consumer](self.database, self.topics, **settings)
        if database is not None:
            url = made["INFRAWATCH_DATABASE_URL"]
            own = url.rpartition("@")[2].partition("/")[0]
            made["INFRAWATCH_DATABASE_URL"] = url.replace(own, database.address)
        if broker is not None:
            made["INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS"] = broker
        return made

    async def ingest(self, environment: dict[str, str] | None = None) -> Service:
        """Start one, and wait until it is ready."""
        return await self._start_new("ingest", environment)

    async def alerting(self, environment: dict[str, str] | None = None) -> Service:
        """Start one, and wait until it is ready."""
        return await self._start_new("alerting", environment)

    async def drift(self, environment: dict[str, str] | None = None) -> Service:
        """Start one, and wait until it is ready."""
        return await self._start_new("drift", environment)

    async def _start_new(self, name: str, environment: dict[str, str] | None) -> Service:
        assert name == self.consumer, f"the scenario says that it watches {self.consumer}"
        service = self.make_service(name, self.directory, environment or self.environment())
        self.cleanup.callback(service.kill)
        self.services.append(service)
        await self.start(service)
        return service

    async def start(self, service: Service) -> None:
        """Start it (again), and wait until it is ready."""
        self.launch(service)
        await eventually(lambda: self.is_ready(service), 45)

    def launch(self, service: Service) -> None:
        """Start it (again) without waiting."""
        self._down = [one for one in self._down if one is not service]
        service.launch()

    async def is_ready(self, service: Service) -> bool:
        """Whether it says so."""
        return (await aside(service.health)).get("status") == "ready"

    async def kill(self, service: Service) -> None:
        """SIGKILL."""
        self._note_crash(service)
        self._down.append(service)
        await aside(service.kill)

    async def stop(self, service: Service) -> None:
        """SIGTERM, timed."""
        self._note_crash(service)
        self._down.append(service)
        began = time.monotonic()
        code = await aside(service.stop)
        self.stops.append((time.monotonic() - began, code))
        # what stops is not ready, and says so as long as it answers
        self.faults.append(Span("stop", began, began, began))

    def proxy(self, target: int, host: str = "127.0.0.1", port: int = 0) -> FaultProxy:
        """A proxy until the end of the scenario."""
        return self.cleanup.enter_context(FaultProxy(target, host, port))

    def database_port(self) -> int:
        """The database's own."""
        return int(self.database.admin_url.rpartition("@")[2].partition("/")[0].rpartition(":")[2])

    @asynccontextmanager
    async def broken(self, name: str, repair: Callable[[], None]) -> AsyncIterator[None]:
        """Marks the time in which ``name`` is away on purpose; it is repaired at the end, and healed then."""
        begin = time.monotonic()
        yield
        end = time.monotonic()
        await aside(repair)
        self.faults.append(Span(name, begin, end, time.monotonic()))
        self.healed()

    def healed(self) -> None:
        """The last fault is over now; recovery counts from here."""
        self.healed_at = time.monotonic()

    @asynccontextmanager
    async def under_load(self, rate: float = 1000, shape: Shape = as_it_is) -> AsyncIterator[AIOKafkaProducer]:
        """Sends ``rate`` records a second until the block ends, as far as the broker takes them."""
        self._rate = rate
        async with producer(self.topics) as sending:
            done = asyncio.Event()

            async def send() -> None:
                due = time.monotonic()
                while not done.is_set():
                    await self.load.send(sending, max(1, round(rate * _TICK / self.load.hosts)), shape)
                    due = max(due + _TICK, time.monotonic() - 1)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))

            task = asyncio.create_task(send())
            try:
                yield sending
            finally:
                done.set()
                await task

    async def backlog(self, records: int) -> None:
        """Put so many records, or a few more, on the topic."""
        async with self.under_load(rate=20_000):
            while len(self.load.acknowledged) < records:  # noqa: ASYNC110 - sent meanwhile
                await asyncio.sleep(0.1)

    async def flows(self) -> None:
        """Wait until something new is committed."""
        assert self._watch is not None
        before = time.monotonic()
        readings = self._watch.readings

        async def moved() -> bool:
            new = [reading for reading in readings if reading.at >= before]
            return len(new) > 1 and sum(new[-1].committed.values()) > sum(new[0].committed.values())

        await eventually(moved)

    async def recovers(self, bound: float) -> None:
        """Keep the load going until the lag is back at its baseline, or for longer than is allowed."""

        async def back() -> bool:
            return recovery(self.readings, self.healed_at, self.baseline) is not None

        with suppress(TimeoutError):  # the judge will see it
            await eventually(back, bound + 10)

    async def caught_up(self, within: float) -> None:
        """Wait until everything acknowledged is committed, or as long as is given; the judge compares the sets."""

        async def none_left() -> bool:
            assert self._watch is not None
            reading = await self._watch.read_group()
            return reading is not None and reading.lag == 0

        with suppress(TimeoutError):
            await eventually(none_left, within)

    async def read_group(self) -> Reading:
        """The group now, as soon as a broker tells."""
        assert self._watch is not None
        while (reading := await self._watch.read_group()) is None:  # noqa: ASYNC110 - the broker is another process
            await asyncio.sleep(_TICK)
        return reading

    def crashes(self) -> list[tuple[str, int | None]]:
        """The processes that ended and were not meant to, with their exit codes."""
        for service in self.services:
            self._note_crash(service)
        return self._crashes

    def _note_crash(self, service: Service) -> None:
        if service.exit_code is not None and service not in self._down:
            self._crashes.append((service.log.stem, service.exit_code))
            self._down.append(service)


@asynccontextmanager
async def world(
    stack: FaultyStack,
    directory: Path,
    scale: Scale,
    *,
    hosts: int = 20,
    consumer: str = "ingest",
    make_service: Callable[..., Service] = Service,
) -> AsyncIterator[World]:
    """A database and topics of its own on the given servers, watched; everything is gone afterwards."""
    with ExitStack() as cleanup:
        database = await aside(lambda: cleanup.enter_context(fresh_database(stack)))
        topics = await fresh_topics(stack)
        load = SnapshotLoad(topics, hosts) if consumer == "drift" else Load(topics, hosts)
        know(database, load.host_ids)
        made = World(stack, directory, scale, database, topics, load, cleanup, consumer, make_service=make_service)
        async with Watch(lambda: made.services, topics, load.topic, made.group) as watch:
            made._watch = watch
            yield made


def know(database: Database, hosts: Sequence[str]) -> None:
    """Give hosts the key that ``records.host_key`` signs with."""
    with psycopg.connect(database.admin_url) as connection:
        connection.cursor().executemany(
            "INSERT INTO host_keys (id, host_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [(host_key(host).id, host) for host in hosts],
        )


async def aside(work: Callable[[], T]) -> T:
    """Do something that blocks while the load goes on."""
    return await asyncio.to_thread(work)


Scene = Callable[[World], Awaitable[None]]
