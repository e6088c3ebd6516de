"""The fault matrix in its shortest form, without what needs a quiet machine; ``make faults`` runs all of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from faults.matrix import TESTED
from faults.scenario import Scenario, run
from faults.servers import FaultyStack
from faults.world import Scale

SHORTEST = Scale(0.0)
_BUSY = 2.0  # how much longer a machine may take that does other things as well


@pytest.mark.parametrize("scenario", TESTED, ids=lambda one: f"{one.row}-{one.name}")
async def test_what_must_hold_holds_under(scenario: Scenario, stack: FaultyStack, tmp_path: Path) -> None:
    # memory that is watched for some seconds says nothing
    judged = replace(scenario, memory=False, recovery=scenario.recovery and scenario.recovery * _BUSY)
    outcome = await run(judged, stack, tmp_path, SHORTEST)
    assert outcome.holds, "\n".join(map(str, outcome.checks))
