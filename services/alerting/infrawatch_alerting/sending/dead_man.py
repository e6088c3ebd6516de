"""Tells another system that alerting is well, so that it notices when nothing comes any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_alerting.sending.outcomes import Failed, Outcome
from infrawatch_common.logs import get_logger

_log = get_logger(__name__)


async def beat(
    url: str,
    interval: float,
    is_well: Callable[[], Awaitable[str | None]],
    ping: Callable[[str], Awaitable[Outcome]],
    metrics: AlertingMetrics,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call the URL every ``interval`` seconds, for ever, while ``is_well`` says None and not what is wrong."""
    told: str | None = None
    while True:
        wrong = await is_well()
        if wrong is not None:
            wrong = f"not called: {wrong}"
        else:
            outcome = await ping(url)
            wrong = outcome.detail if isinstance(outcome, Failed) else None
        if wrong is None:
            metrics.dead_man_called.set(time.time())
        if wrong != told:
            if wrong is None:
                _log.info("the dead man's switch is called again")
            else:
                _log.warning("the dead man's switch is not called", reason=wrong)
            told = wrong
        await sleep(interval)
