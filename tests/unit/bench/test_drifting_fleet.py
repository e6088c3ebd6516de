"""The fleet that its views are measured over."""

from bench.drifting_fleet import ROUNDS, SHARE, FleetPlan
from bench.sizes import Sizes
from infrawatch_common.drift.changes import Category

PLAN = FleetPlan.of(Sizes(fleet_views_packages=300))


def test_one_package_in_a_hundred_and_the_kernel_are_upgraded_in_every_round() -> None:
    for before, after, changes in zip(PLAN.states, PLAN.states[1:], PLAN.changes[1:], strict=False):
        assert {old for old, _ in changes} == set(before) - set(after)
        assert {new for _, new in changes} == set(after) - set(before)
        assert len([new for _, new in changes if new.category is Category.PACKAGE]) == 300 // SHARE
        assert len(changes) == 300 // SHARE + 1
    assert len(PLAN.states) == ROUNDS


def test_every_fact_of_the_year_is_known_once() -> None:
    facts = PLAN.facts()

    assert len(facts) == len(set(facts))
    assert {fact for state in PLAN.states for fact in state} | set(PLAN.venv) == set(facts)
