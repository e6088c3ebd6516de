"""Run benchmarks, print the table, keep it as JSON: ``python -m bench [NAME …]``."""

import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench import results, sizes
from bench.agent import measure_agent
from bench.alerting import measure_alerting, measure_alerting_memory
from bench.delay import measure_delay
from bench.drain import measure_drain, measure_memory
from bench.drift import measure_drift, measure_drift_memory
from bench.fleet import measure_fleet
from bench.fleet_views import measure_fleet_views
from bench.growth import measure_growth
from bench.latency import measure_latency
from bench.preview import measure_preview
from bench.reads import measure_reads
from bench.results import Result
from bench.setting import Setting
from infrawatch_local.stack import Stack

BENCHMARKS: Mapping[str, Callable[[Setting], Awaitable[list[Result]]]] = {
    "drain": measure_drain,
    "memory": measure_memory,
    "growth": measure_growth,
    "latency": measure_latency,
    "fleet": measure_fleet,
    "agent": measure_agent,
    "reads": measure_reads,
    "fleet-views": measure_fleet_views,
    "preview": measure_preview,
    "alerting": measure_alerting,
    "alerting-memory": measure_alerting_memory,
    "delay": measure_delay,
    "drift": measure_drift,
    "drift-memory": measure_drift_memory,
}
RESULTS = Path(__file__).parents[2] / ".local" / "bench.json"


def main(names: list[str]) -> int:
    """Run those named, or all. A goal that is missed is no error, since machines differ; a wrong name or size is."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"there is no benchmark {unknown[0]}; the benchmarks are {' '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    try:
        wanted = sizes.parse(os.environ)
    except sizes.SizeError as error:
        print(error, file=sys.stderr)
        return 2
    # A new topic's leaders take a moment, of which aiokafka's producer warns many times.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as directory, Stack.isolated(Path(directory)) as stack:
        setting = Setting(stack, Path(directory), wanted)
        print(results.HEADER, flush=True)
        for name in names or BENCHMARKS:
            _run(name, setting)
    return 0


def _run(name: str, setting: Setting) -> None:
    began = time.monotonic()
    found = asyncio.run(_measure(name, setting))
    for result in found:
        print(results.line(result))
    print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    results.keep(RESULTS, [result.as_json(name, at) for result in found])


async def _measure(name: str, setting: Setting) -> list[Result]:
    return await BENCHMARKS[name](setting)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
