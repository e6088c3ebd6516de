"""Our decision against Prometheus', by promtool's rule tests: the same series, the same rules, the same firings.

Intended differences, which the series here do not show:

- A clear threshold of its own: Prometheus has none, so the rules here have none.
- A few missing samples: Prometheus goes on with the last value for up to five minutes and may fire in between; here a
  rule is judged when a sample comes. Series here have either every sample or a gap that breaks continuity in both.
- A gap while a rule fires: Prometheus ends the alert, since no value is no alert. Here no news is no recovery. Series
  here have gaps only where nothing fires.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrawatch_common.alerts.engine import Rhythm
from infrawatch_common.alerts.rules import Comparison, Metric, Rule
from infrawatch_common.alerts.watching import HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp
from infrawatch_local import settings as local_settings
from infrawatch_local.tree import Runtime

INTERVAL = 10
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
STAMP = Stamp(uuid4(), 0)
# In steps. Longer than what continuity bears, and than anything that may be pending.
_GAP = 4
_GONE = "stale"

Series = Sequence[float | None]


@dataclass(frozen=True)
class Case:
    """One rule and the series that it judges, one value a step; None where there is no sample."""

    series: Series
    comparison: Comparison
    threshold: float
    steps: int  # that the condition must hold

    def rule(self) -> Rule:
        duration = timedelta(seconds=self.steps * INTERVAL)
        return Rule(uuid4(), 1, "r", Metric.CPU, duration, self.comparison, self.threshold)


def firing_by_us(case: Case, restarts: frozenset[int] = frozenset()) -> list[bool]:
    """Whether it fires, after each step; before some steps everything but what is stored is forgotten."""
    rules = RuleSet([case.rule()])
    watched = HostWatch("host-a", rules, Rhythm(timedelta(seconds=INTERVAL)))
    firing = []
    for number, value in enumerate(case.series):
        if number in restarts:
            stored = watched
            watched = HostWatch("host-a", rules, stored.rhythm, stored.last_at)
            watched.states = dict(stored.states)
        if value is not None:
            at = START + timedelta(seconds=number * INTERVAL)
            watched.sample(Sample(uuid4(), "host-a", at, value, 0, 0, 0, STAMP))
        firing.append(watched.is_firing)
    return firing


def with_gaps(case: Case, places: Sequence[int]) -> Case:
    """The case with gaps at these places, where nothing fires."""
    series = list(case.series)
    for place in sorted(places, reverse=True):
        before = Case(series[:place], case.comparison, case.threshold, case.steps)
        if 0 < place < len(series) and not any(firing_by_us(before)[-1:]):
            series[place:place] = [None] * _GAP
    return Case(series, case.comparison, case.threshold, case.steps)


def rule_test(cases: Sequence[Case]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rules and the test of them, with our firings as what is expected."""
    rules, tests = [], []
    for number, case in enumerate(cases):
        name = f"case_{number}"
        rules.append(
            {
                "alert": name,
                "expr": f"{name} {case.comparison} {case.threshold}",
                "for": f"{case.steps * INTERVAL}s",
            }
        )
        tests.append(
            {
                "interval": f"{INTERVAL}s",
                "input_series": [{"series": name, "values": " ".join(map(_value, _marked(case.series)))}],
                "alert_rule_test": [
                    {
                        "eval_time": f"{step * INTERVAL}s",
                        "alertname": name,
                        "exp_alerts": [{"exp_labels": {}}] if firing else [],
                    }
                    for step, firing in enumerate(firing_by_us(case))
                ],
            }
        )
    return {"groups": [{"name": "cases", "interval": f"{INTERVAL}s", "rules": rules}]}, {
        "rule_files": ["rules.json"],
        "evaluation_interval": f"{INTERVAL}s",
        "tests": tests,
    }


def _marked(series: Series) -> Iterator[float | str]:
    """Prometheus takes one marker for the end of a series, and no sample after it."""
    previous: float | None = None
    for value in series:
        yield value if value is not None else (_GONE if previous is not None else "_")
        previous = value


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def promtool(directory: Path, rules: Any, test: Any) -> subprocess.CompletedProcess[str]:
    (directory / "rules.json").write_text(json.dumps(rules))
    (directory / "test.json").write_text(json.dumps(test))
    runtime = Runtime.in_cache(local_settings.parse(os.environ, Path.home()).cache_dir)
    command = runtime.sandbox.command(directory, ("promtool", "test", "rules", "test.json"))
    return subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


def assert_same(directory: Path, cases: Sequence[Case]) -> None:
    found = promtool(directory, *rule_test(cases))
    assert found.returncode == 0, found.stdout + found.stderr


def ramp(begin: float, end: float, steps: int) -> list[float]:
    return [begin + (end - begin) * number / (steps - 1) for number in range(steps)]


PICKED = {
    "step": [10.0] * 5 + [95.0] * 20 + [10.0] * 5,
    "step that is one sample too short": [10.0] * 5 + [95.0] * 3 + [10.0] * 5,
    "step that is just long enough": [10.0] * 5 + [95.0] * 4 + [10.0] * 5,
    "ramp up and down": [*ramp(0, 100, 30), *ramp(100, 0, 30)],
    "flapping around the threshold": [90.0 + (number % 2) - 0.5 for number in range(40)],
    "flapping with longer and longer runs": [v for run in range(1, 8) for v in [95.0] * run + [80.0]],
    "exactly the threshold": [90.0] * 10 + [89.999] * 3 + [90.0] * 10,
    "true from the first sample": [95.0] * 10,
    "never": [10.0] * 20,
    "spikes": ([10.0] * 4 + [99.0]) * 6,
}
PICKED_GAPS: dict[str, Series] = {
    "gap while nothing is true": [10.0] * 3 + [None] * 5 + [10.0] * 3 + [95.0] * 6,
    "gap in what is pending": [95.0] * 3 + [None] * _GAP + [95.0] * 6,
    "long gap": [95.0] * 2 + [None] * 60 + [95.0] * 6,
    "two gaps": [95.0] * 2 + [None] * 7 + [95.0] * 3 + [None] * 4 + [95.0] * 5,
}


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_picked_series_fire_when_they_do_in_prometheus(tmp_path: Path, steps: int) -> None:
    cases = [Case(series, comparison, 90.0, steps) for series in PICKED.values() for comparison in Comparison]
    gaps = [Case(series, Comparison.AT_LEAST, 90.0, max(steps, 3)) for series in PICKED_GAPS.values()]
    assert any(any(firing_by_us(case)) for case in cases)
    assert any(any(firing_by_us(case)) for case in gaps)
    assert_same(tmp_path, [*cases, *gaps])


cases = st.builds(
    with_gaps,
    st.builds(
        Case,
        st.lists(st.sampled_from([50.0, 89.0, 90.0, 91.0]), min_size=1, max_size=40).flatmap(
            lambda values: st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)).map(
                lambda runs: [value for value, run in zip(values, runs, strict=True) for _ in range(run)]
            )
        ),
        st.sampled_from(list(Comparison)),
        st.just(90.0),
        st.integers(0, 6),
    ),
    st.lists(st.integers(1, 60), max_size=2),
)


@given(st.lists(cases, min_size=20, max_size=20))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_series_fires_when_it_does_in_prometheus(tmp_path: Path, cases: list[Case]) -> None:
    assert_same(tmp_path, cases)


@given(cases, st.frozensets(st.integers(0, 100), max_size=10))
def test_restarts_change_nothing(case: Case, restarts: frozenset[int]) -> None:
    assert firing_by_us(case, restarts) == firing_by_us(case)


def test_the_comparison_sees_a_firing_that_is_one_step_off(tmp_path: Path) -> None:
    case = Case([10.0] * 3 + [95.0] * 6 + [10.0], Comparison.AT_LEAST, 90.0, 3)
    rules, test = rule_test([case])
    checks = test["tests"][0]["alert_rule_test"]
    for check, following in pairwise(list(checks)):
        check["exp_alerts"] = following["exp_alerts"]
    assert promtool(tmp_path, rules, test).returncode == 1
