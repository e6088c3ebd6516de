"""A message in words, as it is read on a telephone at night."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from infrawatch_alerting.domain.drift_text import changes_of, drift_lines
from infrawatch_alerting.domain.words import counted, long, moment, plain, shown
from infrawatch_common.alerts.rules import Severity

_ITEMS_MAX = 20
_CHANGES_MAX = 20  # of all drift in a message
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

    ``host`` has ``id`` and ``name``; an item has ``what`` and ``event``, which is as other systems read it: an
    alert event, or what one snapshot of the host shows to have changed.
    """
    ordered = sorted(items, key=_rank)
    told = ordered[:_ITEMS_MAX]
    changes_max = max(_CHANGES_MAX // max(sum(map(_is_drift, told)), 1), 1)
    lines: list[str] = []
    for item in told:
        lines += drift_lines(item["event"], changes_max) if _is_drift(item) else _lines(item, now)
    if len(ordered) > len(told):
        lines.append(f"and {len(ordered) - len(told)} more")
    if late:
        lines.append("Found late: it happened while messages were not sent, or samples or snapshots were missing.")
    return _title(_host(host), ordered, late), "\n".join([f"Host: {_host(host)}", *lines])


def mood_of(items: Sequence[Mapping[str, Any]]) -> Mood:
    """That of the worst item, drift too; what only ended is good."""
    firing = [item["event"]["severity"] for item in items if item["what"] != "resolved"]
    if firing:
        return _MOODS[min(firing, key=_ORDER.__getitem__)]
    return Mood.GOOD if items else Mood.INFO


def _host(host: Mapping[str, Any]) -> str:
    identifier, name = plain(host["id"]), plain(host.get("name") or "")
    return f"{name} ({identifier})" if name and name != identifier else identifier


def _is_drift(item: Mapping[str, Any]) -> bool:
    return bool(item["what"] == "changed")


def _rank(item: Mapping[str, Any]) -> tuple[bool, int, bool]:
    return item["what"] == "resolved", _ORDER[item["event"]["severity"]], _is_drift(item)


def _title(host: str, ordered: Sequence[Mapping[str, Any]], late: bool) -> str:
    first = ordered[0]
    drift = [item["event"] for item in ordered if _is_drift(item)]
    alerts = len(ordered) - len(drift)
    if _is_drift(first):
        subject = changes_of(drift)
        more = [counted(alerts, "alert")] if alerts else []
    else:
        subject = plain(first["event"]["name"])
        more = [*([f"{alerts - 1} more"] if alerts > 1 else []), *([changes_of(drift)] if drift else [])]
    severity = "resolved" if first["what"] == "resolved" else first["event"]["severity"]
    mark = ", late" if late else ""
    return f"[{severity}{mark}] {subject} on {host}" + "".join(f" and {one}" for one in more)


def _lines(item: Mapping[str, Any], now: datetime) -> list[str]:
    event = item["event"]
    head = f"{event['severity']}: {plain(event['name'])}, {_WORDS[item['what']]}"
    since = moment(event["since"])
    late = " (found late)" if event.get("late") else ""
    lines = [
        "",
        head,
        f"  {_condition(event)}",
        f"  since {shown(since)}, fired at {shown(moment(event['fired_at']))}{late}",
    ]
    if event.get("resolved_at") is not None:
        lines.append(_ended(event, since))
    else:
        lines.append(f"  for {long(now - since)} when this was written")
    return lines


def _ended(event: Mapping[str, Any], since: datetime) -> str:
    at = moment(event["resolved_at"])
    reason = _REASONS.get(event["resolved_reason"], str(event["resolved_reason"]).replace("_", " "))
    value = event.get("resolved_value")
    measured = "" if value is None else f" ({_METRICS[event['metric']]} {_number(event, value)})"
    return f"  resolved at {shown(at)} after {long(at - since)}: {reason}{measured}"


def _condition(event: Mapping[str, Any]) -> str:
    if event["value"] is None:
        return "no sample arrives"
    limit = f"{event['comparison']} {_number(event, event['threshold'])}"
    return f"{_METRICS[event['metric']]} {_number(event, event['value'])} (fires {limit})"


def _number(event: Mapping[str, Any], value: float) -> str:
    digits = f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{digits} s" if event["metric"] == "uptime" else f"{digits} %"
