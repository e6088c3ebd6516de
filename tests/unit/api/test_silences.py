"""When silences are in force: as they are wished for, moved, and judged."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infrawatch_api.contract.silences import NewSilence, SilenceChange
from infrawatch_api.domain.silences import SilenceState, Span, Wish, moved, planned

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
moments = st.integers(-100, 100).map(lambda hours: NOW + hours * HOUR)
lengths = st.integers(0, 100).map(lambda hours: hours * HOUR)
wishes = st.builds(Wish, st.none() | moments, st.none() | moments, st.none() | lengths)


@given(wishes)
def test_a_silence_is_in_force_as_it_was_wished_or_it_is_said_why_not(wish: Wish) -> None:
    outcome = planned(wish, NOW, 3 * DAY)

    if isinstance(outcome, dict):
        assert set(outcome) <= {"ends_at", "duration"}
        return
    assert outcome.starts_at == max(wish.starts_at or NOW, NOW)
    assert outcome.ends_at == (outcome.starts_at + wish.duration if wish.duration is not None else wish.ends_at)
    assert timedelta(0) < outcome.ends_at - outcome.starts_at <= 3 * DAY
    assert outcome.state(NOW) is not SilenceState.EXPIRED


@given(moments, st.integers(1, 100), st.none() | moments, st.none() | moments)
def test_what_has_happened_is_not_changed(
    starts_at: datetime, length: int, new_start: datetime | None, new_end: datetime | None
) -> None:
    before = Span(starts_at, starts_at + length * HOUR)
    if before.state(NOW) is SilenceState.EXPIRED:
        return
    outcome = moved(before, Wish(new_start, new_end), NOW, 3 * DAY)

    if isinstance(outcome, dict):
        assert set(outcome) <= {"starts_at", "ends_at"}
        return
    assert outcome.ends_at == (new_end or before.ends_at)
    assert outcome.ends_at > NOW
    assert timedelta(0) < outcome.ends_at - outcome.starts_at <= 3 * DAY
    if before.starts_at <= NOW:
        assert outcome.starts_at == before.starts_at
    else:
        assert outcome.starts_at == max(new_start or before.starts_at, min(NOW, before.starts_at))


@pytest.mark.parametrize(
    ("wish", "field", "said"),
    [
        (Wish(), "ends_at", "or duration is needed"),
        (Wish(ends_at=NOW + HOUR, duration=HOUR), "ends_at", "not both"),
        (Wish(ends_at=NOW), "ends_at", "later than it begins"),
        (Wish(ends_at=NOW - HOUR), "ends_at", "later than it begins"),
        (Wish(starts_at=NOW + HOUR, ends_at=NOW + HOUR), "ends_at", "later than it begins"),
        (Wish(duration=timedelta(0)), "duration", "later than it begins"),
        (Wish(duration=DAY + MINUTE), "duration", "at most P1D"),
        (Wish(ends_at=NOW + DAY + MINUTE), "ends_at", "at most P1D"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_in_a_sentence(wish: Wish, field: str, said: str) -> None:
    outcome = planned(wish, NOW, DAY)

    assert isinstance(outcome, dict)
    assert list(outcome) == [field]
    assert said in outcome[field]


def test_moving_is_refused_in_a_sentence() -> None:
    active, pending = Span(NOW - HOUR, NOW + HOUR), Span(NOW + HOUR, NOW + 2 * HOUR)
    for before, wish, field, said in (
        (active, Wish(starts_at=NOW), "starts_at", "has begun"),
        (active, Wish(ends_at=NOW), "ends_at", "delete it"),
        (active, Wish(ends_at=NOW + DAY), "ends_at", "at most P1D"),
        (pending, Wish(starts_at=NOW + 2 * HOUR), "starts_at", "later than it begins"),
    ):
        outcome = moved(before, wish, NOW, DAY)
        assert isinstance(outcome, dict)
        assert said in outcome[field]
    assert moved(active, Wish(starts_at=active.starts_at), NOW, DAY) == active
    assert moved(pending, Wish(starts_at=NOW - HOUR), NOW, DAY) == Span(NOW, pending.ends_at)


def test_states_end_where_the_next_begins() -> None:
    span = Span(NOW, NOW + HOUR)

    for at, state in (
        (NOW - MINUTE, SilenceState.PENDING),
        (NOW, SilenceState.ACTIVE),
        (NOW + HOUR - MINUTE, SilenceState.ACTIVE),
        (NOW + HOUR, SilenceState.EXPIRED),
    ):
        assert span.state(at) is state


BODY: dict[str, Any] = {"match": {}, "reason": "upgrade", "duration": "PT1H"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": " \n"},
        {"reason": "a\0"},
        {"reason": None},
        {"starts_at": "tomorrow"},
        {"starts_at": 5},
        {"ends_at": "2026-11-22T10:00:00"},
        {"duration": "soon"},
        {"everything": 1},
        {"match": None},
        {"created_by": "me"},
    ],
)
def test_what_is_no_silence_is_refused(wrong: dict[str, Any]) -> None:
    assert NewSilence.model_validate(BODY).wish() == Wish(None, None, HOUR)
    with pytest.raises(ValidationError):
        NewSilence.model_validate({**BODY, **wrong})


def test_a_change_names_something() -> None:
    change = SilenceChange.model_validate({"ends_at": "2026-11-22T12:00:00+02:00"})

    assert change.wish() == Wish(None, NOW)
    wrongs: list[dict[str, Any]] = [{}, {"reason": None}, {"starts_at": None}, {"match": {}}]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            SilenceChange.model_validate(wrong)
