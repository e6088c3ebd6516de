"""Runs the fault matrix on a stack of its own, prints what held, and writes ``.local/faults.json``.

``python tests/faults/run.py [--factor F] [--rows "4 6 13"] [--soak]``. Exit code 1 when anything did not hold.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from faults.matrix import SCENARIOS
from faults.network import can_make_islands
from faults.scenario import Outcome, Scenario, run
from faults.servers import FaultyStack
from faults.verdicts import Check
from faults.world import Scale

# When these hold they say the same in every scenario.
_ALIKE = {"D0", "O", "S", "S run", "M fds", "G", "fence", "ignored"}
RESULTS = Path(__file__).parents[2] / ".local" / "faults.json"


def main() -> int:
    """Parse, run, print, write; the exit code."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of every fault, many times a second
    arguments = _arguments()
    chosen = [one for one in SCENARIOS if _is_chosen(one, arguments.rows, soak=arguments.soak)]
    if not chosen:
        print(f"no scenario has a row of {arguments.rows!r}; there are {sorted({one.row for one in SCENARIOS})}")
        return 2
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with FaultyStack.isolated(directory) as stack:
            outcomes = [_run_one(one, stack, directory, Scale(arguments.factor)) for one in chosen]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([_record(one, arguments.factor) for one in outcomes], indent=2) + "\n")
    print(f"\n{_table(outcomes)}")
    failed = [one for one in outcomes if not one.holds]
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} hold")
    return 1 if failed else 0


def _run_one(scenario: Scenario, stack: FaultyStack, directory: Path, scale: Scale) -> Outcome:
    outcome = asyncio.run(run(scenario, stack, directory, scale))
    mark = "holds" if outcome.holds else "FAILS"
    print(f"\n{scenario.row:>2} {scenario.name} ({outcome.seconds:.0f} s): {mark}", flush=True)
    for check in outcome.checks:
        print(
            f"   {'ok  ' if check.holds else 'FAIL'} {check.rule:<8} {check.found} (allowed: {check.allowed})",
            flush=True,
        )
    return outcome


def _table(outcomes: Sequence[Outcome]) -> str:
    """What held, with the figures that differ from run to run; Markdown."""
    lines = ["| row | scenario | at full length | holds | found |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        figures = "; ".join(f"{check.rule}: {check.found}" for check in outcome.checks if _tells(check))
        scenario = outcome.scenario
        holds = "yes" if outcome.holds else "**no**"
        lines.append(f"| {scenario.row} | {scenario.name} | {scenario.real} | {holds} | {figures} |")
    return "\n".join(lines)


def _tells(check: Check) -> bool:
    return check.rule not in _ALIKE or not check.holds


def _is_chosen(scenario: Scenario, rows: Sequence[int], *, soak: bool) -> bool:
    if rows:
        return scenario.row in rows
    if scenario.root and not can_make_islands():
        print(f"{scenario.row} {scenario.name}: left out, it needs root to make a network namespace")
        return False
    return scenario.by_default or soak


def _record(outcome: Outcome, factor: float) -> dict[str, object]:
    return {
        "row": outcome.scenario.row,
        "name": outcome.scenario.name,
        "factor": factor,
        "seconds": round(outcome.seconds, 1),
        "holds": outcome.holds,
        "checks": [asdict(check) for check in outcome.checks],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The fault matrix, with real servers.")
    parser.add_argument("--factor", type=float, default=1.0, help="share of the full durations; 0 is the shortest form")
    parser.add_argument("--rows", type=_rows, default=[], help='row numbers of the matrix, such as "4 6 13"; else all')
    parser.add_argument("--soak", action="store_true", help="with the soak of an hour (row 3)")
    return parser.parse_args()


def _rows(text: str) -> list[int]:
    return [int(number) for number in text.replace(",", " ").split()]


if __name__ == "__main__":
    sys.exit(main())
