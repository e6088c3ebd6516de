"""Values that step up and down by the clock, the same for whoever asks: agents and an exporter in another process."""

import math
from dataclasses import dataclass

THRESHOLD = 90.0
_HIGH, _LOW = 95.0, 12.5
_GOLDEN = 0.6180339887  # spreads the hosts' steps over the period, and over each second of it


@dataclass(frozen=True)
class Steps:
    """From ``begin`` (Unix time, seconds) on each host's value is high for the first half of each of its periods."""

    begin: float
    period: float  # seconds

    def value(self, host: int, at: float) -> float:
        """What is measured of a host, counted from 0, at a time."""
        count = self.count(host, at)
        return _HIGH if count and at - self.rise(host, count) < self.period / 2 else _LOW

    def count(self, host: int, at: float) -> int:
        """How often its value has gone up by then."""
        return max(0, math.floor((at - self.rise(host, 1)) / self.period) + 1)

    def rise(self, host: int, count: int) -> float:
        """When it goes up for the how-manieth time, counted from 1."""
        return self.begin + (host * _GOLDEN % 1 + count - 1) * self.period
