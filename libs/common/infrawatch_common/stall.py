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
    """Tells a consumer that hangs from one that is idle, waits for the database, has no broker, or was suspended."""

    def __init__(self, timeout: float, now: float) -> None:
        self._timeout = timeout
        self._since = now
        self._watched = now
        self._done = 0

    @property
    def without_progress(self) -> float:
        """Seconds until the last look in which there was work and none was done."""
        return self._watched - self._since

    def stalled_for(self, seen: Observation, now: float) -> float | None:
        """Seconds without progress, once they exceed the timeout; ``now`` is monotonic, in seconds."""
        # A long pause between two looks is the machine's sleep or a stopped process; by itself it is never a stall.
        self._since += max(0.0, now - self._watched - self._timeout / 2)
        self._watched = now
        excused = seen.lag == 0 or seen.waits_for_database or not seen.broker_answers
        if excused or seen.done != self._done:
            self._since, self._done = now, seen.done
        return self.without_progress if self.without_progress > self._timeout else None
