"""Which events and drift a route of a channel is for, or a silence hides."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.alerts.rules import Severity


class Kind(StrEnum):
    """What people are told of: what fires and ends, and how a host's configuration changed."""

    ALERT = "alert"
    DRIFT = "drift"


class Subject(NamedTuple):
    """Of an event, or of drift, what is matched. ``tags`` are the host's; ``alert_id`` is None for drift."""

    host_id: str
    tags: Mapping[str, str]
    severity: Severity
    alert_id: UUID | None
    kind: Kind = Kind.ALERT


class Match(NamedTuple):
    """All that is given must hold; None, and an empty selector, hold for everything.

    ``selector``: the host has all these tags. ``severities``, ``host_ids``, ``alert_ids``, ``kinds``: it is one of
    them. With ``alert_ids`` it holds for no drift, which is of no rule.
    """

    severities: frozenset[Severity] | None = None
    host_ids: frozenset[str] | None = None
    alert_ids: frozenset[UUID] | None = None
    selector: Mapping[str, str] = {}
    kinds: frozenset[Kind] | None = None

    def is_for(self, kind: Kind) -> bool:
        """Whether it can cover anything of this kind."""
        return (self.kinds is None or kind in self.kinds) and (self.alert_ids is None or kind is Kind.ALERT)

    def covers(self, subject: Subject) -> bool:
        """Whether it is for this event, or for this drift."""
        return (
            self.is_for(subject.kind)
            and (self.severities is None or subject.severity in self.severities)
            and (self.host_ids is None or subject.host_id in self.host_ids)
            and (self.alert_ids is None or subject.alert_id in self.alert_ids)
            and all(subject.tags.get(name) == value for name, value in self.selector.items())
        )

    def as_json(self) -> dict[str, Any]:
        """As it is stored: fields that hold for everything are absent."""
        names = ("severities", "host_ids", "alert_ids", "kinds")
        lists = {name: getattr(self, name) for name in names}
        whole = {name: sorted(map(str, values)) for name, values in lists.items() if values is not None}
        return whole | ({"selector": dict(self.selector)} if self.selector else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Match":
        """What ``as_json`` made."""

        def chosen(name: str, read: Any) -> Any:
            return frozenset(map(read, stored[name])) if name in stored else None

        return cls(
            chosen("severities", Severity),
            chosen("host_ids", str),
            chosen("alert_ids", UUID),
            stored.get("selector", {}),
            chosen("kinds", Kind),
        )
