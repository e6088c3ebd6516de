import json
from pathlib import Path

import pytest

from bench.results import HEADER, Goal, Of, Reference, Result, Sense, keep, line

AT_LEAST = Goal(Of.RATIO, Sense.AT_LEAST, 0.35)
AT_MOST = Goal(Of.VALUE, Sense.AT_MOST, 300)


@pytest.mark.parametrize(("value", "met"), [(35, True), (34, False)])
def test_a_goal_about_the_ratio_compares_with_the_reference(value: float, met: bool) -> None:
    assert Result("drain", value, "rows/s", Reference("psql", 100), AT_LEAST).met is met


@pytest.mark.parametrize(("value", "met"), [(300, True), (301, False)])
def test_a_goal_about_the_value_needs_no_reference(value: float, met: bool) -> None:
    assert Result("latency", value, "ms", goal=AT_MOST).met is met


def test_a_goal_about_the_ratio_is_missed_where_there_is_none() -> None:
    assert Result("drain", 1, "rows/s", Reference("psql", 0), AT_LEAST).met is False


def test_a_line_states_the_goal_and_whether_it_is_met() -> None:
    good = line(Result("drain, 1 process", 91_234.5, "rows/s", Reference("psql \\copy", 200_000), AT_LEAST))
    assert good.split() == ["drain,", "1", "process", "91,234", "rows/s", "psql", "\\copy", "200,000", "0.46", "ratio",
                            "≥", "0.35,", "met"]  # fmt: skip
    assert good.index("ratio") == HEADER.index("goal")
    assert line(Result("latency", 412.4, "ms", goal=AT_MOST)).endswith("value ≤ 300, MISSED")
    assert line(Result("drain, 10 hosts", 12.34, "x")).split() == ["drain,", "10", "hosts", "12.3", "x"]


def test_results_of_benchmarks_that_did_not_run_stay_with_their_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    keep(path, [Result("a", 1, "s").as_json("one", "monday"), Result("b", 1, "s").as_json("two", "monday")])
    keep(path, [Result("c", 2, "s", goal=AT_MOST).as_json("two", "tuesday")])
    kept = json.loads(path.read_text())
    assert [(item["name"], item["measured_at"]) for item in kept] == [("a", "monday"), ("c", "tuesday")]
    assert kept[1]["goal"]["text"] == "value ≤ 300"
    assert kept[1]["met"] is True
