from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_alerting.sending.dead_man import beat
from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome

URL = "https://example.com/ping/CANARY"
SUCCESS = "infrawatch_alerting_dead_man_last_success_timestamp_seconds"


class EndOfTestError(Exception):
    """Instead of the last sleep."""


async def beaten(
    health: list[str | None], outcomes: list[Outcome], metrics: AlertingMetrics
) -> tuple[list[str], list[float]]:
    """What was called, and how long was slept, when health and answers are these."""
    called: list[str] = []
    slept: list[float] = []
    healths: Iterator[str | None] = iter(health)
    answers = iter(outcomes)

    async def is_well() -> str | None:
        return next(healths)

    async def ping(url: str) -> Outcome:
        called.append(url)
        return next(answers)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == len(health):
            raise EndOfTestError

    with pytest.raises(EndOfTestError):
        await beat(URL, 60.0, is_well, ping, metrics, sleep)
    return called, slept


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def test_it_calls_at_once_and_in_every_interval(registry: CollectorRegistry) -> None:
    called, slept = await beaten([None, None], [Delivered(), Delivered()], AlertingMetrics(registry))
    assert called == [URL, URL]
    assert slept == [60.0, 60.0]
    assert (registry.get_sample_value(SUCCESS) or 0) > 1_700_000_000


async def test_it_does_not_call_while_alerting_is_not_well(registry: CollectorRegistry) -> None:
    called, _ = await beaten(["the database is away", None, "it lags"], [Delivered()], AlertingMetrics(registry))
    assert called == [URL]


async def test_a_call_that_fails_is_no_success_and_is_tried_again(
    registry: CollectorRegistry,
) -> None:
    with capture_logs() as told:
        called, _ = await beaten([None, None, None], [Failed("answered 500")] * 3, AlertingMetrics(registry))
    assert len(called) == 3
    assert registry.get_sample_value(SUCCESS) == 0
    assert [line["reason"] for line in told] == ["answered 500"]  # when it changes, not every time
    assert "CANARY" not in str(told)
