"""When a job runs again."""

import pytest

from infrawatch_common.schedule import Outcome, pause_after


def test_a_job_rests_as_long_as_it_worked_while_there_is_more() -> None:
    assert pause_after(Outcome.MORE, took=0.8, failures=0, interval=60) == 0.8


@pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (3, 8), (50, 300)])
def test_a_job_that_fails_waits_longer_each_time(failures: int, seconds: float) -> None:
    assert pause_after(Outcome.FAILED, took=0, failures=failures, interval=3600) == seconds


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.TAKEN])
def test_a_job_with_nothing_left_to_do_waits_for_its_interval(outcome: Outcome) -> None:
    assert pause_after(outcome, took=1, failures=0, interval=60) == 60
