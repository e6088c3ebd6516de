"""The page of faults names scenarios and tests that there are."""

import re
from pathlib import Path

from faults.matrix import SCENARIOS, TESTED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
_HEADING = "## Where each fault is shown"
_ROW = re.compile(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROWS = _ROW.findall(PAGE.partition(_HEADING)[2].partition("\n## ")[0])


def test_every_scenario_is_named_at_its_row_and_where_it_runs_and_no_other_is() -> None:
    shown = {
        (int(row), name.strip(), tested)
        for row, in_tests, alone, _ in ROWS
        for cell, tested in ((in_tests, True), (alone, False))
        for name in cell.split(";")
        if name.strip()
    }
    assert shown == {(one.row, one.name, one in TESTED) for one in SCENARIOS}


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in _TEST.findall(PAGE)
        if not re.search(rf"^(?:async )?def {name}\(", _text(path), re.MULTILINE)
    ]
    assert missing == []


def test_every_row_is_shown_by_something() -> None:
    assert [row for row, *cells in ROWS if not any(cell.strip() for cell in cells)] == []
    assert [int(row) for row, *_ in ROWS] == [*range(1, 28)]


def _text(path: str) -> str:
    found = ROOT / path
    return found.read_text(encoding="utf-8") if found.is_file() else ""
