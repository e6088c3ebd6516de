"""How fast alerting judges a backlog, and in how much memory."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import psutil
import psycopg
from aiokafka import AIOKafkaConsumer

from bench.backlog import Backlog, Kind, host_keys
from bench.busy import firings
from bench.draining import MEGABYTE
from bench.figures import Point, after_warm_up, slope
from bench.reference import enrol, settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from bench.watchers import RULES_A_HOST, add_hosts, add_rules_of_each
from infrawatch_common.events import Sample
from stack import Database, Service, Topics, alerting_environment, fresh_database

_LEAST_RATE = 60_000.0
_MOST_MEMORY = 200.0
# A leak of a whole record would be 500 MB; what is left below this is the allocator's.
_MOST_GROWTH = 5.0
_POLL = 0.05
_PATIENCE = 300.0
_FETCHED = 10_000
_DONE = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE service = 'alerting' AND topic = %s"
_EVENTS = "SELECT count(*) FROM alert_events"


@dataclass(frozen=True)
class Judged:
    """``rate`` and ``decoded`` are in samples a second. ``memory`` is the resident set in MB, by samples judged."""

    rate: float
    decoded: float
    memory: Sequence[Point]
    cpu: float  # microseconds of processor time a sample

    @property
    def ratio(self) -> float:
        """Against the bare consumers before and after."""
        return self.rate / self.decoded


async def measure_alerting(setting: Setting) -> list[Result]:
    """A backlog of a thousand hosts, each with five rules of its own, with one process."""
    sizes = setting.sizes
    backlog = await setting.backlog(Kind(sizes.alerting_hosts, sizes.alerting_records, busy=True))
    rounds = sorted([await _judge(setting, backlog) for _ in range(sizes.rounds)], key=lambda each: each.ratio)
    median = rounds[(len(rounds) - 1) // 2]
    return [
        Result(
            f"alerting, {sizes.alerting_hosts:,} hosts of {RULES_A_HOST} rules",
            median.rate,
            "samples/s",
            Reference("consume and decode", median.decoded),
            Goal(Of.VALUE, Sense.AT_LEAST, _LEAST_RATE),
            {
                "rates": [round(each.rate) for each in rounds],
                "ratios": [round(each.ratio, 3) for each in rounds],
                "cpu_us_a_sample": [round(each.cpu, 2) for each in rounds],
                "events": firings(sizes.alerting_hosts, sizes.alerting_records),
            },
        )
    ]


async def measure_alerting_memory(setting: Setting) -> list[Result]:
    """A longer backlog of five thousand hosts: the most memory, and whether it grows after the first quarter."""
    sizes = setting.sizes
    backlog = await setting.backlog(Kind(sizes.alerting_memory_hosts, sizes.alerting_memory_records, busy=True))
    found = await _judge(setting, backlog)
    settled = after_warm_up(found.memory)
    growth = slope([(done / 1_000_000, megabytes) for done, megabytes in settled])
    name = f"memory of alerting, {sizes.alerting_memory_hosts:,} hosts"
    detail: Mapping[str, Any] = {
        "rules": RULES_A_HOST * sizes.alerting_memory_hosts,
        "rate": round(found.rate),
        "samples": len(settled),
    }
    peak = max(megabytes for _, megabytes in found.memory)
    return [
        Result(f"{name}, peak", peak, "MB", goal=_at_most(_MOST_MEMORY), detail=detail),
        Result(f"{name}, growth", growth, "MB/1M samples", goal=_at_most(_MOST_GROWTH), detail=detail),
    ]


def _at_most(bound: float) -> Goal:
    return Goal(Of.VALUE, Sense.AT_MOST, bound)


async def _judge(setting: Setting, backlog: Backlog) -> Judged:
    """Judge a backlog into a new database. Raises ``AssertionError`` when not every firing is kept once."""
    hosts = [key.host_id for key in host_keys(backlog.kind.hosts)]
    with fresh_database(setting.stack) as database:
        enrol(database, [(key.id, key.host_id) for key in host_keys(backlog.kind.hosts)])
        add_hosts(database, hosts)
        add_rules_of_each(database, hosts, backlog.kind.hosts * backlog.kind.spacing)
        before = await decode_rate(backlog)
        settle(database)
        rate, memory, cpu = _run(setting, database, backlog)
        expected = firings(backlog.kind.hosts, backlog.kind.records)
        found = _ask(database, _EVENTS)
        assert found == expected, f"{found} events, {expected} were expected"
        return Judged(rate, statistics.mean([before, await decode_rate(backlog)]), memory, cpu)


def _run(setting: Setting, database: Database, backlog: Backlog) -> tuple[float, list[Point], float]:
    group = f"{backlog.topics.metrics}-{time.monotonic_ns()}"
    alerting = Service("alerting", setting.directory, alerting_environment(database, backlog.topics, kafka_group=group))
    alerting.launch()
    try:
        return _watch(alerting, database, backlog.topics, backlog.kind.records)
    finally:
        alerting.stop()


def _watch(alerting: Service, database: Database, topics: Topics, records: int) -> tuple[float, list[Point], float]:
    """From when the first batch is kept up to the last one; memory; microseconds of processor time a sample."""
    process = psutil.Process(alerting.pid)
    memory: list[Point] = []
    first: tuple[float, int, float] | None = None
    deadline = time.monotonic() + _PATIENCE
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            (done,) = connection.execute(_DONE, [topics.metrics]).fetchone() or (0,)
            now, cpu = time.monotonic(), _cpu(process)
            memory.append((done, process.memory_info().rss / MEGABYTE))
            if done and first is None:
                first = now, done, cpu
            if done >= records and first is not None:
                rest = done - first[1]
                return rest / (now - first[0]), memory, 1e6 * (cpu - first[2]) / rest
            time.sleep(_POLL)
    msg = f"{records} records were not judged within {_PATIENCE:.0f} s but {done}: {alerting.log.read_text()[-2000:]}"
    raise TimeoutError(msg)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _ask(database: Database, query: str) -> int:
    with psycopg.connect(database.admin_url) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)
        return int(found)


async def decode_rate(backlog: Backlog) -> float:
    """Records a second of a consumer that decodes each and does nothing else."""
    decode = msgspec.json.Decoder(Sample).decode
    consumer = AIOKafkaConsumer(
        backlog.topics.metrics,
        bootstrap_servers=backlog.topics.bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    done, began, first = 0, 0.0, 0
    try:
        while done < backlog.kind.records:
            fetched: Any = await consumer.getmany(timeout_ms=1000, max_records=_FETCHED)
            for record in (each for some in fetched.values() for each in some):
                decode(record.value)
                done += 1
            if done and not first:
                began, first = time.monotonic(), done
        return (done - first) / (time.monotonic() - began)
    finally:
        await consumer.stop()
