"""The judge of alerting says no to a real alerting that is broken."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from faults import broken_alerting, scenes_alerting
from faults.scenario import Scenario, run
from faults.servers import FaultyStack
from faults.world import Scale, World
from stack import Service


class BrokenAlerting(Service):
    """Alerting with a fault, as a process of its own."""

    fault = ""

    def command(self) -> list[str]:
        return [sys.executable, "-P", broken_alerting.__file__, self.fault]


@pytest.mark.parametrize(
    ("scene", "fault", "seen"),
    [
        (scenes_alerting.killed, broken_alerting.forgets, "A1"),
        (scenes_alerting.repeated, broken_alerting.tells_nobody, "A1 told"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_a_fault_of_alerting_is_seen(
    scene: Callable[[World], Awaitable[None]],
    fault: Callable[..., Any],
    seen: str,
    stack: FaultyStack,
    tmp_path: Path,
) -> None:
    scenario = Scenario(0, "broken", "", scene, arrival=5.0, consumer="alerting")
    made = type("Broken", (BrokenAlerting,), {"fault": fault.__name__})
    outcome = await run(scenario, stack, tmp_path, Scale(0.0), made)
    assert {check.rule for check in outcome.checks if not check.holds} == {seen}
