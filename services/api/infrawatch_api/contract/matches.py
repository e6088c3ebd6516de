"""Which events and drift a route of a channel is for, or a silence hides."""

from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field

from infrawatch_api.contract.common import Body, HostIdText, Tags
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match

_Severities = Annotated[list[Severity], Field(min_length=1, max_length=len(Severity))]
_HostIds = Annotated[list[HostIdText], Field(min_length=1)]
_AlertIds = Annotated[list[UUID], Field(min_length=1)]
_Kinds = Annotated[list[Kind], Field(min_length=1, max_length=len(Kind))]


class EventMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is meant: all that is there must hold, and ``{}`` is everything. ``selector``: the host has all these tags.
    ``severities``, ``host_ids``, ``alert_ids``, ``kinds``: it is one of them. Drift is of no alert, and its severity is
    that of the worst change.
    """

    severities: list[Severity] | None = None
    host_ids: list[str] | None = None
    alert_ids: list[UUID] | None = None
    selector: dict[str, str] = {}
    kinds: list[Kind] | None = None


class NewEventMatch(Body):
    """What is meant: all that is given must hold, and ``{}`` is everything. ``selector``: the host has all these tags.
    ``severities``, ``host_ids``, ``alert_ids``, ``kinds``: it is one of them; null is any. Drift is of no alert, and
    its severity is that of the worst change.
    """

    severities: _Severities | None = None
    host_ids: _HostIds | None = None
    alert_ids: _AlertIds | None = None
    selector: Tags | None = None
    kinds: _Kinds | None = None

    def match(self) -> Match:
        """Itself, to be decided with."""
        return Match(
            frozenset(self.severities) if self.severities is not None else None,
            frozenset(self.host_ids) if self.host_ids is not None else None,
            frozenset(self.alert_ids) if self.alert_ids is not None else None,
            dict(self.selector or {}),
            frozenset(self.kinds) if self.kinds is not None else None,
        )
