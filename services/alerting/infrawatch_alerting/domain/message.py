"""A message in words, as it is read on a telephone at night."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from infrawatch_common.alerts.rules import Severity

_LINES_MAX = 20
_LONGEST_NAME = 200
# Controls and what reverses or hides text; what others named stays on one line, and reads as it is.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)
_WORDS = {
    "fired": "fired",
    "still_firing": "still firing",
    "no_longer_silenced": "firing, no longer silenced",
    "resolved": "resolved",
}
_METRICS = {"cpu": "CPU", "memory": "memory", "disk": "disk", "uptime": "uptime", "heartbeat": "heartbeat"}
_REASONS = {
    "cleared": "it is back to normal",
    "heard": "samples arrive again",
    "continued": "it goes on in a later event",
    "rule_changed": "its rule was changed",
    "rule_disabled": "its rule was disabled",
    "rule_deleted": "its rule was deleted",
    "host_retired": "the host was retired",
    "host_deleted": "the host was deleted",
    "host_not_selected": "its rule is no longer for this host",
    "state_lost": "nothing is kept of how it went on",
}
_ORDER = {severity.value: rank for rank, severity in enumerate(reversed(Severity))}


class Mood(StrEnum):
    """What a message is, as receivers colour it."""

    GOOD = "success"
    INFO = "info"
    WARNING = "warning"
    BAD = "failure"


_MOODS = {Severity.INFO.value: Mood.INFO, Severity.WARNING.value: Mood.WARNING, Severity.CRITICAL.value: Mood.BAD}


def title_and_text(
    host: Mapping[str, Any], items: Sequence[Mapping[str, Any]], late: bool, now: datetime
) -> tuple[str, str]:
    """A line, and some lines more, of what is told about a host.

    ``host`` has ``id`` and ``name``; an item has ``what`` and ``event``, which is as other systems read it.
    """
    ordered = sorted(items, key=lambda item: (item["what"] == "resolved", _ORDER[item["event"]["severity"]]))
    lines = [line for item in ordered[:_LINES_MAX] for line in _lines(item, now)]
    if len(ordered) > _LINES_MAX:
        lines.append(f"and {len(ordered) - _LINES_MAX} more")
    if late:
        lines.append("Found late: it happened while messages were not sent or samples were missing.")
    return _title(_host(host), ordered, late), "\n".join([f"Host: {_host(host)}", *lines])


def mood_of(items: Sequence[Mapping[str, Any]]) -> Mood:
    """That of the worst item; what only ended is good."""
    firing = [item["event"]["severity"] for item in items if item["what"] != "resolved"]
    if firing:
        return _MOODS[min(firing, key=_ORDER.__getitem__)]
    return Mood.GOOD if items else Mood.INFO


def plain(text: str) -> str:
    """What somebody else named, on one line and without characters that cannot be seen."""
    seen = _UNSEEN.sub(" ", text).strip()
    return seen if len(seen) <= _LONGEST_NAME else seen[: _LONGEST_NAME - 1] + "…"


def _host(host: Mapping[str, Any]) -> str:
    identifier, name = plain(host["id"]), plain(host.get("name") or "")
    return f"{name} ({identifier})" if name and name != identifier else identifier


def _title(host: str, ordered: Sequence[Mapping[str, Any]], late: bool) -> str:
    first = ordered[0]
    severity = "resolved" if first["what"] == "resolved" else first["event"]["severity"]
    more = f" and {len(ordered) - 1} more" if len(ordered) > 1 else ""
    mark = ", late" if late else ""
    return f"[{severity}{mark}] {plain(first['event']['name'])} on {host}{more}"


def _lines(item: Mapping[str, Any], now: datetime) -> list[str]:
    event = item["event"]
    head = f"{event['severity']}: {plain(event['name'])}, {_WORDS[item['what']]}"
    since = _time(event["since"])
    late = " (found late)" if event.get("late") else ""
    lines = [
        "",
        head,
        f"  {_condition(event)}",
        f"  since {_shown(since)}, fired at {_shown(_time(event['fired_at']))}{late}",
    ]
    if event.get("resolved_at") is not None:
        lines.append(_ended(event, since))
    else:
        lines.append(f"  for {_long(now - since)} when this was written")
    return lines


def _ended(event: Mapping[str, Any], since: datetime) -> str:
    at = _time(event["resolved_at"])
    reason = _REASONS.get(event["resolved_reason"], str(event["resolved_reason"]).replace("_", " "))
    value = event.get("resolved_value")
    measured = "" if value is None else f" ({_METRICS[event['metric']]} {_number(event, value)})"
    return f"  resolved at {_shown(at)} after {_long(at - since)}: {reason}{measured}"


def _condition(event: Mapping[str, Any]) -> str:
    if event["value"] is None:
        return "no sample arrives"
    limit = f"{event['comparison']} {_number(event, event['threshold'])}"
    return f"{_METRICS[event['metric']]} {_number(event, event['value'])} (fires {limit})"


def _number(event: Mapping[str, Any], value: float) -> str:
    digits = f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{digits} s" if event["metric"] == "uptime" else f"{digits} %"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _shown(at: datetime) -> str:
    """RFC 3339, in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _long(duration: timedelta) -> str:
    """The two largest units: ``3 d 4 h``, ``1 min 5 s``, ``0 s``."""
    seconds = max(int(duration.total_seconds()), 0)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])
