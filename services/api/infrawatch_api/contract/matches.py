"""Which events a route of a channel is for, or a silence hides."""

from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field

from infrawatch_api.contract.common import Body, HostIdText, Tags
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Match

_Severities = Annotated[list[Severity], Field(min_length=1, max_length=len(Severity))]
_HostIds = Annotated[list[HostIdText], Field(min_length=1)]
_AlertIds = Annotated[list[UUID], Field(min_length=1)]


class EventMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which events are meant: all that is there must hold, and ``{}`` is every event. ``selector``: the host has all
    these tags. ``severities``, ``host_ids``, ``alert_ids``: it is one of them.
    """

    severities: list[Severity] | None = None
    host_ids: list[str] | None = None
    alert_ids: list[UUID] | None = None
    selector: dict[str, str] = {}


class NewEventMatch(Body):
    """Which events are meant: all that is given must hold, and ``{}`` is every event. ``selector``: the host has all
    these tags. ``severities``, ``host_ids``, ``alert_ids``: it is one of them; null is any.
    """

    severities: _Severities | None = None
    host_ids: _HostIds | None = None
    alert_ids: _AlertIds | None = None
    selector: Tags | None = None

    def match(self) -> Match:
        """Itself, to be decided with."""
        return Match(
            frozenset(self.severities) if self.severities is not None else None,
            frozenset(self.host_ids) if self.host_ids is not None else None,
            frozenset(self.alert_ids) if self.alert_ids is not None else None,
            dict(self.selector or {}),
        )
