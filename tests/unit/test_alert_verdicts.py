"""Every judge of alerting says yes to what holds and no to what does not."""

from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest

from faults.alert_verdicts import (
    Firing,
    Post,
    as_undisturbed,
    backed_off,
    ended_as,
    ledger_agrees,
    no_orphans,
    notified,
    told,
)
from records import NOW

RULE, OTHER = UUID(int=1), UUID(int=2)


def firing(number: int, *, ended: int | None = None, reason: str = "cleared", host: str = "a") -> Firing:
    at = None if ended is None else NOW + timedelta(seconds=ended)
    return Firing(UUID(int=number), RULE, host, NOW + timedelta(seconds=number), at, reason if at else None)


class TestAsUndisturbed:
    def test_the_same_events_in_any_order_hold(self) -> None:
        assert as_undisturbed([firing(2), firing(1, ended=5)], [firing(1, ended=5), firing(2)]).holds

    @pytest.mark.parametrize(
        "found",
        [
            [],
            [firing(1, ended=5)],
            [firing(1, ended=5), firing(2), firing(3)],
            [firing(1, ended=6), firing(2)],
            [firing(1), firing(2)],
            [firing(1, ended=5, reason="heard"), firing(2)],
            [firing(1, ended=5), firing(2, host="b")],
            [firing(1, ended=5), firing(2), firing(2)],
            [firing(1, ended=5), firing(2), firing(2)._replace(id=UUID(int=9))],
        ],
    )
    def test_anything_else_does_not(self, found: list[Firing]) -> None:
        assert not as_undisturbed(found, [firing(1, ended=5), firing(2)]).holds

    def test_nothing_proves_nothing(self) -> None:
        assert not as_undisturbed([], []).holds


class TestTold:
    KEPT = (firing(1, ended=5), firing(2))
    ALL = (("fired", UUID(int=1)), ("resolved", UUID(int=1)), ("fired", UUID(int=2)))

    def test_each_beginning_and_each_end_at_least_once_holds(self) -> None:
        assert told(Counter([*self.ALL, self.ALL[0]]), self.KEPT).holds

    @pytest.mark.parametrize("number", range(3))
    def test_one_that_is_missing_does_not(self, number: int) -> None:
        assert not told(Counter(one for one in self.ALL if one != self.ALL[number]), self.KEPT).holds

    def test_an_event_that_is_not_kept_does_not(self) -> None:
        assert not told(Counter([*self.ALL, ("resolved", UUID(int=2))]), self.KEPT).holds

    def test_nothing_proves_nothing(self) -> None:
        assert not told(Counter(), []).holds


class TestEndedAs:
    def test_the_reasons_in_the_order_of_time_hold(self) -> None:
        found = [firing(2), firing(1, ended=5, reason="rule_changed"), firing(3, host="b")]
        assert ended_as(found, {(RULE, "a"): ["rule_changed", None], (RULE, "b"): [None]}).holds

    @pytest.mark.parametrize(
        "expected",
        [
            {},
            {(RULE, "a"): [None]},
            {(RULE, "a"): ["cleared"]},
            {(RULE, "a"): [None, "rule_changed"]},
            {(RULE, "a"): ["rule_changed", None, None]},
            {(RULE, "a"): ["rule_changed", None], (OTHER, "a"): [None]},
            {(OTHER, "a"): ["rule_changed", None]},
        ],
    )
    def test_anything_else_does_not(self, expected: dict[tuple[UUID, str], list[str | None]]) -> None:
        assert not ended_as([firing(1, ended=5, reason="rule_changed"), firing(2)], expected).holds


def test_a_state_of_a_rule_or_a_host_that_is_gone_is_an_orphan() -> None:
    assert no_orphans([(RULE, "a")], [RULE], ["a"]).holds
    assert no_orphans([], [], []).holds
    assert not no_orphans([(RULE, "a")], [OTHER], ["a"]).holds
    assert not no_orphans([(RULE, "a")], [RULE], ["b"]).holds


def post(key: str, fired: int | None = None, ended: int | None = None, *, at: float = 0, accepted: bool = True) -> Post:
    begun, over = (frozenset(() if one is None else (UUID(int=one),)) for one in (fired, ended))
    return Post(key, begun, over, at, accepted)


class TestNotified:
    KEPT = (firing(1, ended=5), firing(2))
    ALL = (post("a", fired=1), post("b", ended=1), post("c", fired=2))

    def test_each_event_by_one_message_holds_whatever_it_takes(self) -> None:
        assert notified(self.ALL, self.KEPT, 0).holds
        assert notified(
            [post("a", fired=1, accepted=False), post("a", fired=1, accepted=False), *self.ALL], self.KEPT, 0
        ).holds

    def test_one_that_has_ended_before_it_is_told_needs_no_message_more(self) -> None:
        assert notified([post("a", fired=1, ended=1), post("c", fired=2)], self.KEPT, 0).holds

    @pytest.mark.parametrize("number", range(3))
    def test_one_that_is_missing_or_was_never_taken_does_not(self, number: int) -> None:
        others = [one for one in self.ALL if one != self.ALL[number]]
        assert not notified(others, self.KEPT, 0).holds
        assert not notified([*others, self.ALL[number]._replace(accepted=False)], self.KEPT, 0).holds

    def test_a_message_may_come_once_more_for_each_crash(self) -> None:
        assert not notified([*self.ALL, self.ALL[0]], self.KEPT, 0).holds
        assert notified([*self.ALL, self.ALL[0]], self.KEPT, 1).holds
        assert not notified([*self.ALL, self.ALL[0], self.ALL[0]], self.KEPT, 1).holds

    def test_the_same_event_by_another_message_does_not(self) -> None:
        assert not notified([*self.ALL, post("d", fired=1)], self.KEPT, 9).holds

    def test_nothing_proves_nothing(self) -> None:
        assert not notified(self.ALL, [], 0).holds


def test_the_ledger_has_every_attempt_and_no_other() -> None:
    posts = [post("a", fired=1, accepted=False), post("a", fired=1), post("b", fired=2)]
    assert ledger_agrees(posts, {"a": 2, "b": 1}).holds
    for wrong in ({"a": 1, "b": 1}, {"a": 2}, {"a": 2, "b": 1, "c": 1}, {"a": 3, "b": 1}):
        assert not ledger_agrees(posts, wrong).holds
    assert not ledger_agrees([], {}).holds


def test_attempts_lie_as_far_apart_as_they_must() -> None:
    apart = [post("a", at=10), post("b", at=10.5), post("a", at=11), post("a", at=13.5), post("b", at=11.5)]
    assert backed_off(apart, [1.0, 2.0]).holds
    assert not backed_off(apart, [1.1]).holds
    assert not backed_off([*apart, post("b", at=12)], [1.0, 2.0]).holds
    assert not backed_off([post("a")], [1.0]).holds
