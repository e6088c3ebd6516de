"""How fast alerting judges a backlog, and in how much memory."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg

from bench.backlog import Backlog, Kind, host_keys
from bench.busy import firings
from bench.figures import after_warm_up, slope
from bench.one_consumer import Watched, decode_rate, watch
from bench.reference import enrol, settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from bench.watchers import RULES_A_HOST, add_hosts, add_rules_of_each
from infrawatch_common.events import Sample
from stack import Database, Service, alerting_environment, fresh_database

_LEAST_RATE = 60_000.0
_MOST_MEMORY = 200.0
# A leak of a whole record would be 500 MB; what is left below this is the allocator's.
_MOST_GROWTH = 5.0
_FETCHED = 10_000
_DONE = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE service = 'alerting' AND topic = %s"
_EVENTS = "SELECT count(*) FROM alert_events"


@dataclass(frozen=True)
class Judged:
    """Alerting at work, and a bare consumer before and after it, in samples a second."""

    watched: Watched
    decoded: float

    @property
    def ratio(self) -> float:
        """Against the bare consumers before and after."""
        return self.watched.rate / self.decoded


async def measure_alerting(setting: Setting) -> list[Result]:
    """A backlog of a thousand hosts, each with five rules of its own, with one process."""
    sizes = setting.sizes
    backlog = await setting.backlog(Kind(sizes.alerting_hosts, sizes.alerting_records, busy=True))
    rounds = sorted([await _judge(setting, backlog) for _ in range(sizes.rounds)], key=lambda each: each.ratio)
    median = rounds[(len(rounds) - 1) // 2]
    return [
        Result(
            f"alerting, {sizes.alerting_hosts:,} hosts of {RULES_A_HOST} rules",
            median.watched.rate,
            "samples/s",
            Reference("consume and decode", median.decoded),
            Goal(Of.VALUE, Sense.AT_LEAST, _LEAST_RATE),
            {
                "rates": [round(each.watched.rate) for each in rounds],
                "ratios": [round(each.ratio, 3) for each in rounds],
                "cpu_us_a_sample": [round(1e6 * each.watched.cpu, 2) for each in rounds],
                "events": firings(sizes.alerting_hosts, sizes.alerting_records),
            },
        )
    ]


async def measure_alerting_memory(setting: Setting) -> list[Result]:
    """A longer backlog of five thousand hosts: the most memory, and whether it grows after the first quarter."""
    sizes = setting.sizes
    backlog = await setting.backlog(Kind(sizes.alerting_memory_hosts, sizes.alerting_memory_records, busy=True))
    found = (await _judge(setting, backlog)).watched
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
        before = await _decode_rate(backlog)
        settle(database)
        watched = _run(setting, database, backlog)
        expected = firings(backlog.kind.hosts, backlog.kind.records)
        found = _ask(database, _EVENTS)
        assert found == expected, f"{found} events, {expected} were expected"
        return Judged(watched, statistics.mean([before, await _decode_rate(backlog)]))


async def _decode_rate(backlog: Backlog) -> float:
    topics, decode = backlog.topics, msgspec.json.Decoder(Sample).decode
    return await decode_rate(topics.bootstrap_servers, topics.metrics, decode, backlog.kind.records, _FETCHED)


def _run(setting: Setting, database: Database, backlog: Backlog) -> Watched:
    group = f"{backlog.topics.metrics}-{time.monotonic_ns()}"
    alerting = Service("alerting", setting.directory, alerting_environment(database, backlog.topics, kafka_group=group))
    alerting.launch()
    try:
        return watch(alerting, database, _DONE, backlog.kind.records, backlog.topics.metrics)
    finally:
        alerting.stop()


def _ask(database: Database, query: str) -> int:
    with psycopg.connect(database.admin_url) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)
        return int(found)
