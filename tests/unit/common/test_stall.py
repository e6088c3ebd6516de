import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.stall import Observation, StallDetector

BUSY = Observation(lag=10, done=0, waits_for_database=False, broker_answers=True)


def watch(detector: StallDetector, seen: Observation, begin: int, end: int) -> float | None:
    """Look every 20 s, and at the end; what it says then."""
    for now in range(begin, end, 20):
        assert detector.stalled_for(seen, now) is None
    return detector.stalled_for(seen, end)


def test_lag_without_progress_is_a_stall_after_the_timeout() -> None:
    detector = StallDetector(60, now=0)
    assert watch(detector, BUSY, 0, 60) is None
    assert detector.stalled_for(BUSY, 61) == 61


def test_how_long_there_was_no_progress_is_known_before_it_is_a_stall() -> None:
    detector = StallDetector(60, now=0)
    assert detector.without_progress == 0
    watch(detector, BUSY, 0, 40)
    assert detector.without_progress == 40
    detector.stalled_for(Observation(10, 1, waits_for_database=False, broker_answers=True), 50)
    assert detector.without_progress == 0


def test_a_process_that_was_suspended_is_given_time_to_go_on() -> None:
    detector = StallDetector(60, now=0)
    assert watch(detector, BUSY, 0, 20) is None
    assert detector.stalled_for(BUSY, 86_400) is None
    assert watch(detector, BUSY, 86_400, 86_409) is None
    assert detector.stalled_for(BUSY, 86_411) == 61


def test_a_lag_that_cannot_be_found_out_while_the_broker_answers_is_a_stall_too() -> None:
    blind = Observation(lag=None, done=0, waits_for_database=False, broker_answers=True)
    assert watch(StallDetector(60, now=0), blind, 0, 61) == 61


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
    assert watch(detector, BUSY, 0, 40) is None
    assert detector.stalled_for(excuse, 59) is None
    again = Observation(10, excuse.done, waits_for_database=False, broker_answers=True)
    assert watch(detector, again, 79, 119) is None
    assert detector.stalled_for(again, 120) == 61


@given(st.lists(st.integers(1, 59), min_size=1, max_size=50))
def test_a_consumer_that_makes_progress_within_every_timeout_never_stalls(pauses: list[int]) -> None:
    detector, now = StallDetector(60, now=0), 0
    for done, pause in enumerate(pauses, start=1):
        now += pause
        assert detector.stalled_for(Observation(10, done, waits_for_database=False, broker_answers=True), now) is None
