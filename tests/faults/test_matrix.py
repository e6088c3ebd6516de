"""The fault matrix in its shortest form; ``make faults`` runs it at full length."""

from pathlib import Path

import pytest

from faults.matrix import SCENARIOS
from faults.network import can_make_islands
from faults.scenario import Scenario, run
from faults.servers import FaultyStack
from faults.world import Scale

SHORTEST = Scale(0.0)
BY_DEFAULT = [one for one in SCENARIOS if one.by_default]


@pytest.mark.parametrize("scenario", BY_DEFAULT, ids=lambda one: f"{one.row}-{one.name}")
async def test_what_must_hold_holds_under(scenario: Scenario, stack: FaultyStack, tmp_path: Path) -> None:
    if scenario.root and not can_make_islands():
        pytest.skip("needs root, to make a network namespace")
    outcome = await run(scenario, stack, tmp_path, SHORTEST)
    assert outcome.holds, "\n".join(map(str, outcome.checks))
