import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain import fleet as fleet_module
from infrawatch_alerting.domain.fleet import Facts, Fleet, Rulebook
from infrawatch_common.alerts.rule_sets import RuleSet
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample, Stamp
from records import NOW

HOSTS = ("a", "b", "c")
TAGS: tuple[dict[str, str], ...] = ({}, {"env": "prod"}, {"env": "prod", "site": "x"})
Make = Callable[[int], Rule]


def rule(number: int, host_id: str | None = None, **changes: object) -> Rule:
    return Rule(UUID(int=number), 1, "busy", Metric.CPU, timedelta(0), threshold=90.0, host_id=host_id, **changes)  # type: ignore[arg-type]


def sample(host_id: str, second: int, cpu: float) -> Sample:
    at = NOW + timedelta(seconds=second)
    return Sample(UUID(int=second), host_id, at, cpu, 1.0, 1.0, 1, Stamp(UUID(int=1), second))


def fired(fleet: Fleet, host_id: str, second: int = 0) -> set[UUID]:
    return {change.alert_id for change in fleet.sample(sample(host_id, second, 95.0), NOW.timestamp() * 1000) or ()}


def book(rules: Sequence[Rule], tags: Sequence[dict[str, str]] = TAGS) -> Rulebook:
    return Rulebook(
        rules, frozenset(), {host: Facts(each, retired=False) for host, each in zip(HOSTS, tags, strict=True)}
    )


@given(
    st.lists(
        st.one_of(
            st.sampled_from(HOSTS).map(lambda host: lambda number: rule(number, host)),
            st.sampled_from(TAGS).map(lambda tags: lambda number: rule(number, selector=tags)),
        ),
        max_size=8,
    )
)
def test_a_host_is_judged_by_its_own_rules_and_by_those_that_select_it(makes: list[Make]) -> None:
    rules = [make(number) for number, make in enumerate(makes)]
    fleet = Fleet(timedelta(seconds=10))
    fleet.follow(book(rules), NOW)
    for host, tags in zip(HOSTS, TAGS, strict=True):
        assert fired(fleet, host) == {one.id for one in rules if one.matches(host, tags)}


def test_a_rule_that_becomes_another_hosts_judges_that_one_alone() -> None:
    fleet = Fleet(timedelta(seconds=10))
    fleet.follow(book([rule(1, "a")]), NOW)
    fleet.follow(book([rule(1, "b")]), NOW)
    assert fired(fleet, "a") == set()
    assert fired(fleet, "b") == {UUID(int=1)}


def test_what_hosts_with_rules_of_their_own_cost_grows_with_the_hosts_and_not_with_their_square() -> None:
    def seconds(hosts: int) -> float:
        fleet = Fleet(timedelta(seconds=10))
        rules = [rule(host * 5 + number, f"host-{host}") for host in range(hosts) for number in range(5)]
        fleet.follow(Rulebook(rules, frozenset(), {}), NOW)
        for host in range(hosts):
            fleet.sample(sample(f"host-{host}", 0, 1.0), NOW.timestamp() * 1000)
        began = time.process_time()
        fleet.follow(Rulebook(rules, frozenset(), {}), NOW)
        return time.process_time() - began

    def least(hosts: int) -> float:
        return min(seconds(hosts) for _ in range(3))

    assert least(1600) < 8 * least(400)  # the square would be 16 times as much


def test_rules_that_have_not_changed_are_not_made_ready_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def make(rules: list[Rule]) -> RuleSet:
        made.append(rules)
        return RuleSet(rules)

    monkeypatch.setattr(fleet_module, "RuleSet", make)
    fleet = Fleet(timedelta(seconds=10))
    kept, changed = rule(1, "a"), rule(2, "b")
    fleet.follow(book([kept, changed]), NOW)
    for host in ("a", "b"):
        fleet.sample(sample(host, 0, 1.0), NOW.timestamp() * 1000)
    assert len(made) == 2
    fleet.follow(book([kept, replace(changed, version=2, threshold=99.0)]), NOW)
    assert len(made) == 3
    assert fired(fleet, "a", 10) == {kept.id}
    assert fired(fleet, "b", 10) == set()
    fleet.follow(book([kept]), NOW)
    fleet.follow(book([kept, changed]), NOW)
    assert fired(fleet, "b", 20) == {changed.id}
