import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.stall import Observation, StallDetector

BUSY = Observation(lag=10, done=0, waits_for_database=False, broker_answers=True)


def test_lag_without_progress_is_a_stall_after_the_timeout() -> None:
    detector = StallDetector(60, now=0)
    assert detector.stalled_for(BUSY, 60) is None
    assert detector.stalled_for(BUSY, 61) == 61


def test_a_lag_that_cannot_be_found_out_while_the_broker_answers_is_a_stall_too() -> None:
    blind = Observation(lag=None, done=0, waits_for_database=False, broker_answers=True)
    assert StallDetector(60, now=0).stalled_for(blind, 61) == 61


@pytest.mark.parametrize(
    "excuse",
    [
        Observation(lag=0, done=0, waits_for_database=False, broker_answers=True),
        Observation(lag=10, done=0, waits_for_database=True, broker_answers=True),
        Observation(lag=None, done=0, waits_for_database=False, broker_answers=False),
        Observation(lag=10, done=1, waits_for_database=False, broker_answers=True),
    ],
    ids=["idle", "database away", "broker away", "progress"],
)
def test_an_excuse_begins_the_time_anew(excuse: Observation) -> None:
    detector = StallDetector(60, now=0)
    assert detector.stalled_for(excuse, 59) is None
    again = Observation(10, excuse.done, waits_for_database=False, broker_answers=True)
    assert detector.stalled_for(again, 119) is None
    assert detector.stalled_for(again, 120) == 61


@given(st.lists(st.integers(1, 59), min_size=1, max_size=50))
def test_a_consumer_that_makes_progress_within_every_timeout_never_stalls(pauses: list[int]) -> None:
    detector, now = StallDetector(60, now=0), 0
    for done, pause in enumerate(pauses, start=1):
        now += pause
        assert detector.stalled_for(Observation(10, done, waits_for_database=False, broker_answers=True), now) is None
