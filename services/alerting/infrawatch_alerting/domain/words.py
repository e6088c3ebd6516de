"""What messages are made of: what others wrote, moments, and lengths of time."""

import re
from datetime import UTC, datetime, timedelta

_LONGEST = 200
# Controls and what reverses or hides text; what others named stays on one line, and reads as it is.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)


def plain(text: str) -> str:
    """What somebody else wrote, on one line and without characters that cannot be seen."""
    seen = _UNSEEN.sub(" ", text).strip()
    return seen if len(seen) <= _LONGEST else seen[: _LONGEST - 1] + "…"


def moment(text: str) -> datetime:
    """That of RFC 3339 text."""
    return datetime.fromisoformat(text)


def shown(at: datetime) -> str:
    """RFC 3339, in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def long(duration: timedelta) -> str:
    """The two largest units: ``3 d 4 h``, ``1 min 5 s``, ``0 s``."""
    seconds = max(int(duration.total_seconds()), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def counted(count: int, thing: str) -> str:
    """``1 change``, ``3 changes``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
