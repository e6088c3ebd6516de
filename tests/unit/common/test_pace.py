import pytest

from infrawatch_common.pace import Pace


def test_the_first_time_is_due_at_once() -> None:
    assert Pace().is_due(0.0)


@pytest.mark.parametrize(("took", "pause"), [(0.01, 1.0), (0.5, 4.5), (20.0, 10.0)])
def test_it_takes_no_more_than_a_tenth_of_the_time_but_comes_every_ten_seconds(took: float, pause: float) -> None:
    pace = Pace()
    pace.done(began=100.0, ended=100.0 + took)
    assert not pace.is_due(100.0 + took + pause - 0.01)
    assert pace.is_due(100.0 + took + pause)


def test_one_time_that_takes_long_does_not_delay_the_next_and_two_do() -> None:
    pace = Pace()
    pace.done(began=100.0, ended=100.1)
    pace.done(began=102.0, ended=105.0)
    assert pace.is_due(106.0)
    pace.done(began=106.0, ended=107.0)
    assert not pace.is_due(115.9)
    assert pace.is_due(116.0)
