"""How the cost of a drain grows: with hosts, with chunks, with duplicates."""

from dataclasses import dataclass
from functools import partial

from bench.backlog import Kind, Repeats
from bench.draining import drain, median_of
from bench.results import Reference, Result
from bench.setting import Setting

_HOSTS = 1000


@dataclass(frozen=True)
class _Case:
    name: str
    hosts: int = _HOSTS
    days: int = 1
    repeats: Repeats = Repeats.NONE


_CASES = (
    _Case("10 hosts", hosts=10),
    _Case("1,000 hosts, 1 day of chunks"),
    _Case("50,000 hosts", hosts=50_000),
    _Case("60 days of chunks", days=60),
    _Case("10 % duplicates, scattered", repeats=Repeats.SCATTERED),
    _Case("10 % duplicates, in runs", repeats=Repeats.IN_RUNS),
)


async def measure_growth(setting: Setting) -> list[Result]:
    """One case after the other, each with one process and beside a copy of its own."""
    results = []
    for case in _CASES:
        backlog = await setting.backlog(Kind(case.hosts, setting.sizes.growth_records, case.repeats))
        found, detail = median_of(setting.sizes.rounds, partial(drain, setting, backlog, days=case.days))
        results.append(
            Result(f"drain, {case.name}", found.rate, "rows/s", Reference("psql \\copy", found.copied), detail=detail)
        )
    return results
