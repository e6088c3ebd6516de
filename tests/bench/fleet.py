"""Many agents against one ingest: whether it keeps up."""

import asyncio
import time
from contextlib import suppress

from bench.draining import outcomes
from bench.figures import Point, after_warm_up, percentile, slope
from bench.live import Agents, Sample, host_key_pairs
from bench.reference import enrol
from bench.results import Goal, Of, Result, Sense
from bench.setting import Setting
from stack import Database, Service, eventually, fresh_database, fresh_topics, ingest_environment

_INTERVALS = (10.0, 1.0)  # seconds between an agent's samples
_SAMPLING = 0.5
_MOST_GROWTH = 1.0  # percent of what is sent
_MOST_LAG = 2.0  # seconds


async def measure_fleet(setting: Setting) -> list[Result]:
    """A thousand agents, at the default interval and ten times as fast."""
    results = []
    for interval in _INTERVALS:
        with fresh_database(setting.stack) as database:
            results += await _measure(setting, database, interval)
    return results


async def _measure(setting: Setting, database: Database, interval: float) -> list[Result]:
    agents, seconds = setting.sizes.fleet_agents, setting.sizes.fleet_seconds
    enrol(database, host_key_pairs(agents))
    topics = await fresh_topics(setting.stack, partitions=12)
    ingest = Service("ingest", setting.directory, ingest_environment(database, topics)).start()
    count = _Count()
    try:
        sampling = asyncio.create_task(count.sample(ingest))
        await Agents(topics, agents, acknowledged=count.acknowledge).run(interval, seconds)
        sampling.cancel()
        with suppress(asyncio.CancelledError):
            await sampling
        await eventually(lambda: count.done(ingest))
    finally:
        ingest.stop()
    return _results(f"{agents:,} agents, {agents / interval:,.0f}/s", count.lag, agents / interval)


def _results(name: str, sampled: list[Point], rate: float) -> list[Result]:
    lag = after_warm_up(sampled)
    amounts = [records for _, records in lag]
    detail = {"samples": len(lag), "lag_records": {str(p): percentile(amounts, p) for p in (50, 99, 100)}}
    return [
        Result(
            f"{name}: growth of lag",
            100 * slope(lag) / rate,
            "% of sent",
            goal=Goal(Of.VALUE, Sense.AT_MOST, _MOST_GROWTH),
            detail=detail,
        ),
        Result(
            f"{name}: lag, p99",
            percentile(amounts, 99) / rate,
            "s",
            goal=Goal(Of.VALUE, Sense.AT_MOST, _MOST_LAG),
            detail=detail,
        ),
    ]


class _Count:
    """What was acknowledged, against what ingest says it has done."""

    def __init__(self) -> None:
        self.lag: list[Point] = []
        self._acknowledged = 0

    def acknowledge(self, _: Sample) -> None:
        self._acknowledged += 1

    async def sample(self, ingest: Service) -> None:
        """Note the lag, for ever."""
        while True:
            done = (await asyncio.to_thread(outcomes, ingest)).total()
            # What was acknowledged while ingest answered counts as lag: rather too much of it than too little.
            self.lag.append((time.monotonic(), max(0.0, self._acknowledged - done)))
            await asyncio.sleep(_SAMPLING)

    async def done(self, ingest: Service) -> bool:
        """Whether everything acknowledged is done."""
        return (await asyncio.to_thread(outcomes, ingest)).total() >= self._acknowledged
