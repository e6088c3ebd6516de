"""Drift in words: what changed on a host, and when."""

from collections.abc import Iterable, Mapping
from typing import Any

from infrawatch_alerting.domain.words import counted, moment, plain, shown

Event = Mapping[str, Any]


def changes_of(events: Iterable[Event]) -> str:
    """How many changes there are in all: ``3 changes``."""
    return counted(sum(_count(event) for event in events), "change")


def drift_lines(event: Event, most: int) -> list[str]:
    """What one snapshot showed, as other systems read it: the worst changes, at most so many, and when it happened."""
    counts = [f"{count} {severity}" for severity, count in event["counts"].items() if count]
    parts = f" ({', '.join(counts)})" if len(counts) > 1 else ""
    told = event["changes"][:most]
    late = " (found late)" if event["late"] else ""
    return [
        "",
        f"{event['severity']}: {changes_of([event])}{parts}",
        *(f"  {change['severity']}: {plain(change['sentence'])}" for change in told),
        *([f"  and {_count(event) - len(told)} more"] if _count(event) > len(told) else []),
        f"  between {shown(moment(event['not_before']))} and {shown(moment(event['at']))}{late}",
    ]


def _count(event: Event) -> int:
    return sum(event["counts"].values())
