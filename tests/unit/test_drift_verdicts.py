"""Every judge of drift says yes to what holds and no to what does not."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.drift_verdicts import Event, Kept, Row, Sighting, as_expected, expected, refused, told
from infrawatch_common.drift.content import Content, digest
from records import NOW

A = Content("Debian 12", "6.1", {"dpkg": {"openssl": "3.0.15-1"}}, {"LANG": "C"})
B = replace(A, packages={"dpkg": {"openssl": "3.0.16-1"}})


def seen(number: int, content: Content, host: str = "a") -> Sighting:
    return Sighting(host, NOW + timedelta(minutes=number), UUID(int=number), content)


def row(begin: int, end: int, content: Content, host: str = "a") -> Row:
    return Row(UUID(int=begin), host, NOW + timedelta(minutes=begin), NOW + timedelta(minutes=end), digest(content))


FLAP = [seen(1, A), seen(2, A), seen(3, B), seen(4, A)]


class TestExpected:
    def test_equal_contents_in_a_row_are_one_row_and_each_next_one_differs_once(self) -> None:
        rows, changes = expected(FLAP)
        assert rows == [row(1, 2, A), row(3, 3, B), row(4, 4, A)]
        assert [(one.snapshot_id, one.not_before, one.at, one.before, one.after) for one in changes] == [
            (UUID(int=3), NOW + timedelta(minutes=2), NOW + timedelta(minutes=3), "3.0.15-1", "3.0.16-1"),
            (UUID(int=4), NOW + timedelta(minutes=3), NOW + timedelta(minutes=4), "3.0.16-1", "3.0.15-1"),
        ]
        assert [(one.category, one.name, one.direction) for one in changes] == [
            ("package", "openssl", "upgraded"),
            ("package", "openssl", "downgraded"),
        ]
        assert len({one.id for one in changes}) == 2

    @given(st.permutations([*FLAP, *FLAP[:2], seen(5, B, "b")]))
    def test_order_and_repetition_do_not_matter_and_hosts_are_apart(self, sightings: list[Sighting]) -> None:
        rows, changes = expected(sightings)
        assert sorted(rows) == sorted([row(1, 2, A), row(3, 3, B), row(4, 4, A), row(5, 5, B, "b")])
        assert len(changes) == 2

    def test_a_source_that_comes_is_comparable(self) -> None:
        _, changes = expected([seen(1, replace(A, packages={})), seen(2, A)])
        assert [(one.category, one.before, one.after) for one in changes] == [
            ("source", None, (("openssl", "3.0.15-1"),))
        ]


class TestAsExpected:
    ROWS, CHANGES = expected(FLAP)

    def test_the_same_in_any_order_holds(self) -> None:
        assert as_expected("rows", self.ROWS[::-1], self.ROWS).holds
        assert as_expected("changes", self.CHANGES[::-1], self.CHANGES).holds

    @pytest.mark.parametrize("number", range(2))
    def test_one_that_is_missing_doubled_or_other_does_not(self, number: int) -> None:
        for found in (list[Row | Kept](self.ROWS), list[Row | Kept](self.CHANGES)):
            assert not as_expected("them", [one for one in found if one != found[number]], found).holds
            assert not as_expected("them", [*found, found[number]], found).holds
        other = self.CHANGES[number]._replace(not_before=NOW)
        assert not as_expected(
            "changes", [*self.CHANGES[:number], other, *self.CHANGES[number + 1 :]], self.CHANGES
        ).holds

    def test_nothing_proves_nothing(self) -> None:
        assert not as_expected("rows", [], []).holds


def event(kept: Kept, kind: str = "changed") -> Event:
    return Event(*(kind, kept.id, kept.host_id, kept.snapshot_id, kept.category, kept.source, kept.name, kept.action))


class TestTold:
    KEPT = expected(FLAP)[1]
    EVENTS = tuple(event(one) for one in KEPT)

    def test_each_change_at_least_once_holds(self) -> None:
        assert told(self.EVENTS, self.KEPT).holds
        assert told([*self.EVENTS, self.EVENTS[0], event(self.KEPT[1], "revised")], self.KEPT).holds

    def test_what_was_told_and_is_no_longer_must_be_withdrawn(self) -> None:
        gone = event(self.KEPT[0]._replace(id=UUID(int=9)))
        assert not told([gone, *self.EVENTS], self.KEPT).holds
        assert not told([gone._replace(kind="withdrawn"), gone, *self.EVENTS], self.KEPT).holds
        assert told([gone, *self.EVENTS, gone._replace(kind="withdrawn")], self.KEPT).holds

    @pytest.mark.parametrize("number", range(2))
    def test_one_that_is_missing_withdrawn_or_told_of_otherwise_does_not(self, number: int) -> None:
        others = [one for one in self.EVENTS if one != self.EVENTS[number]]
        assert not told(others, self.KEPT).holds
        assert not told([*self.EVENTS, event(self.KEPT[number], "withdrawn")], self.KEPT).holds
        assert not told([*others, self.EVENTS[number]._replace(snapshot_id=UUID(int=9))], self.KEPT).holds

    def test_nothing_proves_nothing(self) -> None:
        assert not told([], []).holds


def test_exactly_what_was_sent_to_be_refused_is_a_dead_letter_once() -> None:
    one, two = ("topic", 0, 1, "invalid"), ("topic", 0, 2, "empty")
    assert refused([two, one], [one, two]).holds
    assert refused([], []).holds
    assert not refused([one], [one, two]).holds
    assert not refused([one, two, two], [one, two]).holds
    assert not refused([one, ("topic", 0, 2, "malformed")], [one, two]).holds
    assert not refused([one], []).holds
