"""How fast the backlog goes out: a token bucket of one second."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """At most ``rate`` records a second, and at most one second's worth (at least one) at once; monotonic seconds."""

    rate: float
    _tokens: float = 1.0
    _at: float | None = None

    def allowance(self, now: float) -> int:
        """How many records may go now."""
        if self._at is not None:
            self._tokens = min(max(1.0, self.rate), self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = now
        return int(self._tokens)

    def take(self, records: int) -> None:
        """Records have gone."""
        self._tokens -= records

    def wait(self) -> float:
        """Seconds until the next record may go, as of the last ``allowance``."""
        return max(0.0, (1.0 - self._tokens) / self.rate)
