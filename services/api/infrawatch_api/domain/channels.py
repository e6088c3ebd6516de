"""What operators say of a channel: how a change is put into it, and what there cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from infrawatch_api.domain.durations import iso_8601
from infrawatch_api.domain.matches import excess, strangers
from infrawatch_common.notices.matching import Match


class ChannelKind(StrEnum):
    """How messages go: through Apprise's many services, or to a webhook as our own signed JSON."""

    APPRISE = "apprise"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Definition:
    """All that an operator decides about a channel, but its address. ``repeat_interval`` is None if what fires on is
    told once.
    """

    name: str
    routes: tuple[Match, ...]
    send_resolved: bool
    group_interval: timedelta
    repeat_interval: timedelta | None
    enabled: bool

    def as_json(self) -> dict[str, Any]:
        """Itself as JSON has it, as in answers."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "routes": [route.as_json() for route in self.routes],
            "group_interval": iso_8601(self.group_interval),
            "repeat_interval": iso_8601(self.repeat_interval) if self.repeat_interval is not None else None,
        }


class Bounds(NamedTuple):
    """The most that there may be: routes, ids in a list of a route, and the longest interval."""

    routes: int
    ids: int
    interval: timedelta


def merged(before: Definition, given: Mapping[str, Any]) -> Definition:
    """The definition with the given fields instead of its own; None is a value as any other."""
    return replace(before, **given)


def objections(definition: Definition, bounds: Bounds) -> dict[str, str]:
    """Why there can be no such channel, by field; a sentence each."""
    found = {}
    if len(definition.routes) > bounds.routes:
        found["routes"] = f"should be at most {bounds.routes}"
    for number, route in enumerate(definition.routes):
        found |= excess(route, bounds.ids, _field(number))
    for name in ("group_interval", "repeat_interval"):
        if (interval := getattr(definition, name)) is not None and interval > bounds.interval:
            found[name] = f"should be at most {iso_8601(bounds.interval)}"
    if definition.repeat_interval == timedelta(0):
        found["repeat_interval"] = "should be above 0; null tells of what fires on once"
    return found


def strange_routes(routes: Sequence[Match], unknown: frozenset[Any]) -> dict[str, str]:
    """Which ids of routes are among the unknown ones, by field; a sentence each."""
    found: dict[str, str] = {}
    for number, route in enumerate(routes):
        found |= strangers(route, unknown, _field(number))
    return found


def trial_message(channel: str) -> dict[str, Any]:
    """A message that says that a channel works."""
    return {
        "type": "test",
        "channel": channel,
        "host": None,
        "late": False,
        "items": [],
        "title": f"Test of channel {channel}",
        "text": f"Infra-Watch sent this to try channel {channel}. Nothing is wrong.",
    }


def _field(number: int) -> str:
    return f"routes.{number}"
