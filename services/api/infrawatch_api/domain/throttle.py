"""How many failures are too many: a count by account and address, so that nobody locks out somebody else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

_IPV6_SITE = 64


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``limit`` failures in any ``window``."""

    limit: int
    window: timedelta

    def wait(self, failures: Sequence[datetime], now: datetime) -> int:
        """Seconds until the next attempt is judged, 0 for at once; ``failures`` are the latest ones, in any order."""
        recent = sorted(failure for failure in failures if failure > now - self.window)
        if len(recent) < self.limit:
            return 0
        free_again = recent[-self.limit] + self.window
        return max(1, math.ceil((free_again - now).total_seconds()))


def throttled_network(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 site, in which a single machine has 2**64 of them."""
    ip = ip_address(address)
    prefix = _IPV6_SITE if ip.version == 6 else 32
    return str(ip_network((ip.packed, prefix), strict=False))
