"""When a message that could not be delivered is sent again."""

from datetime import datetime, timedelta

_FIRST = timedelta(seconds=1)
_DOUBLINGS = 20


def next_attempt(attempt: int, now: datetime, longest: timedelta) -> datetime:
    """After so many failed attempts: a second, then twice as long each time, ``longest`` at most."""
    return now + min(_FIRST * (1 << min(attempt - 1, _DOUBLINGS)), longest)
