"""Which events a route of a channel is for, or a silence hides."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.alerts.rules import Severity


class Subject(NamedTuple):
    """Of an event, what is matched. ``tags`` are the host's."""

    host_id: str
    tags: Mapping[str, str]
    severity: Severity
    alert_id: UUID


class Match(NamedTuple):
    """All that is given must hold; None, and an empty selector, hold for every event.

    ``selector``: the host has all these tags. ``severities``, ``host_ids``, ``alert_ids``: it is one of them.
    """

    severities: frozenset[Severity] | None = None
    host_ids: frozenset[str] | None = None
    alert_ids: frozenset[UUID] | None = None
    selector: Mapping[str, str] = {}

    def covers(self, subject: Subject) -> bool:
        """Whether it is for this event."""
        return (
            (self.severities is None or subject.severity in self.severities)
            and (self.host_ids is None or subject.host_id in self.host_ids)
            and (self.alert_ids is None or subject.alert_id in self.alert_ids)
            and all(subject.tags.get(name) == value for name, value in self.selector.items())
        )

    def as_json(self) -> dict[str, Any]:
        """As it is stored: fields that hold for every event are absent."""
        lists = {"severities": self.severities, "host_ids": self.host_ids, "alert_ids": self.alert_ids}
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
        )
