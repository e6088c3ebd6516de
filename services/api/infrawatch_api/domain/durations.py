"""Lengths of time, as people write them and as answers tell them: whole seconds."""

import re
from datetime import timedelta

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# So many digits and no more: what they amount to can always be computed.
_SHORT = re.compile(r"(\d{1,8})([smhdw]?)", re.ASCII)
_ISO_8601 = re.compile(
    r"P(?:(?P<w>\d{1,5})W|(?:(?P<d>\d{1,6})D)?(?:T(?=\d)(?:(?P<h>\d{1,7})H)?(?:(?P<m>\d{1,8})M)?(?:(?P<s>\d{1,9})S)?)?)",
    re.ASCII,
)
_MOST_SECONDS = 10**9


def read_duration(text: str) -> timedelta | None:
    """The length that ``PT5M``, ``5m`` or ``300`` names, or None."""
    if short := _SHORT.fullmatch(text):
        return timedelta(seconds=int(short[1]) * _UNITS[short[2]])
    parts = _ISO_8601.fullmatch(text)
    if parts is None or not any(parts.groups()):
        return None
    return timedelta(seconds=sum(int(value) * _UNITS[unit] for unit, value in parts.groupdict().items() if value))


def read_seconds(number: float) -> timedelta | None:
    """The length of so many whole seconds, or None."""
    if not 0 <= number <= _MOST_SECONDS or number != int(number):
        return None
    return timedelta(seconds=int(number))


def iso_8601(duration: timedelta) -> str:
    """A length that is not negative, with days as its largest unit: ``P1DT30M``."""
    hours, seconds = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
    days = f"{duration.days}D" if duration.days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    time += f"{seconds}{fraction}S" if seconds or fraction else ""
    return f"P{days}T{time}" if time else f"P{days or 'T0S'}"
