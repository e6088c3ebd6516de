"""How fast a backlog drains, and in how much memory."""

from functools import partial

from bench.backlog import Kind
from bench.draining import drain, median_of
from bench.figures import after_warm_up, slope
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting

_GOALS = {1: 0.35, 2: 0.50}
_MOST_MEMORY = 150.0
# A leak of a whole record would be 500 MB; what is left below this is the allocator's.
_MOST_GROWTH = 5.0


async def measure_drain(setting: Setting) -> list[Result]:
    """Half a million records, with one process and with two."""
    backlog = await setting.backlog(Kind(setting.sizes.hosts, setting.sizes.records))
    results = []
    for processes, goal in _GOALS.items():
        found, detail = median_of(setting.sizes.rounds, partial(drain, setting, backlog, processes))
        results.append(
            Result(
                f"drain, {processes} process{'es' if processes > 1 else ''}",
                found.rate,
                "rows/s",
                Reference("psql \\copy", found.copied),
                Goal(Of.RATIO, Sense.AT_LEAST, goal),
                detail,
            )
        )
    return results


async def measure_memory(setting: Setting) -> list[Result]:
    """A longer drain with one process: the most memory, and whether it grows after the first quarter."""
    found = drain(setting, await setting.backlog(Kind(setting.sizes.hosts, setting.sizes.memory_records)))
    settled = after_warm_up(found.memory)
    growth = slope([(done / 1_000_000, megabytes) for done, megabytes in settled])
    return [
        Result(
            "memory of ingest while draining, peak", found.peak, "MB", goal=Goal(Of.VALUE, Sense.AT_MOST, _MOST_MEMORY)
        ),
        Result(
            "memory of ingest while draining, growth",
            growth,
            "MB/1M records",
            goal=Goal(Of.VALUE, Sense.AT_MOST, _MOST_GROWTH),
            detail={"samples": len(settled), "ratio_to_copy": round(found.ratio, 3)},
        ),
    ]
