"""The judges of drift say no to a real drift that is broken."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from faults import broken_drift, scenes_drift
from faults.scenario import Scenario, run
from faults.servers import FaultyStack
from faults.world import Scale, World
from stack import Service


class BrokenDrift(Service):
    """Drift with a fault, as a process of its own."""

    fault = ""

    def command(self) -> list[str]:
        return [sys.executable, "-P", broken_drift.__file__, self.fault]


@pytest.mark.parametrize(
    ("scene", "fault", "seen"),
    [
        (scenes_drift.killed, broken_drift.commits_first, {"L0", "D1 rows"}),
        (scenes_drift.rewritten, broken_drift.tells_nothing_apart, {"D1 rows"}),
        (scenes_drift.late, broken_drift.leaves_the_next, {"D1 changes"}),
        (scenes_drift.rewritten, broken_drift.tells_nobody, {"D1 told"}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_a_fault_of_drift_is_seen(
    scene: Callable[[World], Awaitable[None]],
    fault: Callable[..., Any],
    seen: set[str],
    stack: FaultyStack,
    tmp_path: Path,
) -> None:
    scenario = Scenario(0, "broken", "", scene, arrival=5.0, consumer="drift")
    made = type("Broken", (BrokenDrift,), {"fault": fault.__name__})
    outcome = await run(scenario, stack, tmp_path, Scale(0.0), made)
    failed = {check.rule for check in outcome.checks if not check.holds}
    assert seen <= failed, "\n".join(map(str, outcome.checks))
    assert "scene" not in failed, "\n".join(map(str, outcome.checks))
