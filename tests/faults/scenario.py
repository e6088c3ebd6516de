"""One line of the fault matrix, how it is run, and how it is judged."""

import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults import drifts, verdicts
from faults.servers import FaultyStack
from faults.verdicts import Check
from faults.world import Scale, World, aside, world
from stack import Service

_WARM_UP = 4.0
# What a process has drained once before its memory is watched, in full batches: it needs as much after an outage.
_WARM_UP_RECORDS = 30_000


@dataclass(frozen=True)
class Scenario:
    """A fault. ``real`` says what is done at full length; ``recovery`` is the bound of R in seconds, if it has one."""

    row: int
    name: str
    real: str
    scene: Callable[[World], Awaitable[None]]
    recovery: float | None = None
    memory: bool = False
    quiet: str | None = None  # why it holds on a quiet machine alone, if it does: then it is none of the tests
    hosts: int = 20
    root: bool = False  # needs to make network namespaces
    by_default: bool = True
    arrival: float = 120.0  # seconds that the last record may take, once the load has ended
    consumer: str = "ingest"  # the service that is tried; what alerting's scenes find, they judge themselves


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    seconds: float
    checks: Sequence[Check]

    @property
    def holds(self) -> bool:
        """Whether everything held; without any check nothing did."""
        return bool(self.checks) and all(check.holds for check in self.checks)


async def run(
    scenario: Scenario,
    stack: FaultyStack,
    directory: Path,
    scale: Scale,
    make_service: Callable[..., Service] = Service,
) -> Outcome:
    """Run one on servers that are up; they are up again afterwards. A scene that breaks is a failed check."""
    began = time.monotonic()
    async with world(
        stack, directory, scale, hosts=scenario.hosts, consumer=scenario.consumer, make_service=make_service
    ) as made:
        try:
            if scenario.memory:
                await made.backlog(_WARM_UP_RECORDS)
            await scenario.scene(made)
        except Exception:  # noqa: BLE001 - the table shows it
            made.checks.append(Check("scene", False, traceback.format_exc()[-1500:], "no error"))
            await aside(lambda: _mend(stack))
        checks = await judge(scenario, made)
    return Outcome(scenario, time.monotonic() - began, checks)


def _mend(stack: FaultyStack) -> None:
    """Start what a broken scene has left down: the next scenario needs it."""
    for server in (stack.kafka, stack.database):
        if not server.running:
            server.start()


async def judge(scenario: Scenario, made: World) -> list[Check]:
    """All that must hold, once everything that will arrive has arrived."""
    await made.caught_up(scenario.arrival)
    rows = _ROWS.get(scenario.consumer)
    checks = await rows(made) if rows is not None else []
    checks += [
        verdicts.no_regression(made.readings),
        verdicts.truthful(made.vitals, made.faults),
        verdicts.no_crash(made.crashes()),
    ]
    if scenario.memory:
        checks += [verdicts.bounded_memory(made.vitals, _WARM_UP), verdicts.flat_handles(made.vitals, _WARM_UP)]
    if scenario.recovery is not None:
        assert made.healed_at > 0, "a scene with a bound of R must say when its fault is over"
        checks.append(verdicts.recovered(made.readings, made.healed_at, scenario.recovery, made.baseline))
    if made.stops:
        checks.append(verdicts.stopped_in_time(made.stops, 5.0))
    return checks + made.checks


async def _rows(made: World) -> list[Check]:
    verdict = await made.load.verdict(made.database)
    return [verdicts.nothing_lost(verdict, len(made.load.acknowledged)), verdicts.nothing_doubled(verdict)]


_ROWS = {"ingest": _rows, "drift": drifts.judge}
