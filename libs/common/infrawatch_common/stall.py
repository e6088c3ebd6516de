"""When a consumer is stuck: a decision of observations and their time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """What a consumer looks like now. ``lag`` is None while the consumer cannot find it out."""

    lag: int | None
    done: int  # records done since the start
    waits_for_database: bool
    broker_answers: bool


class StallDetector:
    """Tells a consumer that hangs from one that is idle, waits for the database, or has no broker."""

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._since = now
        self._done = 0

    def stalled_for(self, seen: Observation, now: float) -> float | None:
        """Seconds without progress, once they exceed the timeout; ``now`` is monotonic, in seconds."""
        excused = seen.lag == 0 or seen.waits_for_database or not seen.broker_answers
        if excused or seen.done != self._done:
            self._since, self._done = now, seen.done
        stuck = now - self._since
        return stuck if stuck > self._timeout else None
