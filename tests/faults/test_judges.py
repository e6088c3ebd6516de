"""Each judge of the fault matrix says no to a real ingest that is broken in the way it watches for."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from faults import broken, scenes_processes
from faults.scenario import Scenario, run
from faults.servers import FaultyStack
from faults.verdicts import GRACE
from faults.world import Scale, World, aside
from stack import Service


class BrokenIngest(Service):
    """Ingest with a fault, as a process of its own."""

    fault = ""

    def command(self) -> list[str]:
        return [sys.executable, "-P", broken.__file__, self.fault]


async def failing(
    scene: Callable[[World], Awaitable[None]],
    fault: Callable[..., Any],
    stack: FaultyStack,
    directory: Path,
    *,
    memory: bool = False,
    recovery: float | None = None,
) -> set[str]:
    """The rules that do not hold when an ingest with this fault plays this scene."""
    scenario = Scenario(0, "broken", "", scene, recovery, memory, arrival=5.0)
    made = type("Broken", (BrokenIngest,), {"fault": fault.__name__})
    outcome = await run(scenario, stack, directory, Scale(0.0), made)
    return {check.rule for check in outcome.checks if not check.holds}


async def test_committing_before_writing_is_seen_as_loss(stack: FaultyStack, tmp_path: Path) -> None:
    assert "L0" in await failing(scenes_processes.killed, broken.commits_first, stack, tmp_path)


async def test_writing_without_idempotence_is_seen_as_doubles(stack: FaultyStack, tmp_path: Path) -> None:
    async def repeated(world: World) -> None:
        await world.ingest()
        async with world.under_load(shape=lambda record: [record, record]):
            await world.flows()

    assert await failing(repeated, broken.writes_anew, stack, tmp_path) == {"D0"}


async def test_a_leak_is_seen(stack: FaultyStack, tmp_path: Path) -> None:
    async def even_load(world: World) -> None:
        await world.ingest()
        async with world.under_load():
            await asyncio.sleep(12)

    assert await failing(even_load, broken.leaks, stack, tmp_path, memory=True) == {"M"}


async def test_readiness_that_lies_is_seen(stack: FaultyStack, tmp_path: Path) -> None:
    async def database_away(world: World) -> None:
        await world.ingest()
        async with world.under_load():
            await world.flows()
            async with world.broken("database", world.stack.database.start):
                await aside(world.stack.database.stop)
                await asyncio.sleep(2 * GRACE)

    assert await failing(database_away, broken.lies, stack, tmp_path) == {"S"}


async def test_a_consumer_that_hangs_is_ended_by_its_watchdog_and_seen_not_to_recover(
    stack: FaultyStack, tmp_path: Path
) -> None:
    async def hanging(world: World) -> None:
        ingest = await world.ingest(
            world.environment(database_timeout=2, job_timeout=2, stall_timeout=5, stop_timeout=1)
        )
        async with world.under_load():
            world.healed()
            assert await asyncio.to_thread(ingest.wait, 20) == 1
        assert "no progress for" in ingest.log.read_text()

    assert {"L0", "R", "S run"} <= await failing(hanging, broken.hangs, stack, tmp_path, recovery=5.0)
