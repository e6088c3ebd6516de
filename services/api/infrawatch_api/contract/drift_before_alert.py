"""How a host's configuration changed before an alert, and how others fared with the same."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.contract.drift import DriftChange
from infrawatch_common.alerts.rules import Severity


class PeerHost(msgspec.Struct, frozen=True):
    """Another host with the same change, and when it was seen there first."""

    host_id: str
    at: datetime


class PeerAlert(msgspec.Struct, frozen=True):
    """What fired on a host after the same change."""

    id: UUID
    host_id: str
    name: str
    severity: Severity
    since: datetime
    fired_at: datetime
    resolved_at: datetime | None


class DriftPeers(msgspec.Struct, frozen=True):
    """The other ``hosts`` that came to the same value of the same thing within seven days before or after; ``more``:
    there are still more. ``earlier``: how many of them before this host. ``with_alerts``: on how many a rule fired
    within the hours after, and on how many ``with_this_alert``. ``first_hosts`` and ``first_alerts`` are at most five.
    """

    hosts: int
    more: bool
    earlier: int
    with_alerts: int
    with_this_alert: int
    first_hosts: list[PeerHost]
    first_alerts: list[PeerAlert]


class DriftBeforeAlertItem(DriftChange, frozen=True):
    """A change, ``seconds_before`` the alert's condition became true; negative: it was seen after that, but the state
    before it was last seen before the alert fired. ``summary`` says in words what there is to know.
    """

    seconds_before: float
    summary: str
    others: DriftPeers


class DriftBeforeAlert(msgspec.Struct, frozen=True):
    """How the host of an alert event changed between ``looked_from`` and the firing, newest first; ``more``: there were
    still more. ``seen_at``: up to when its configuration is known, the firing at the latest, null if not at all.
    """

    event_id: UUID
    host_id: str
    name: str
    since: datetime
    fired_at: datetime
    looked_from: datetime
    seen_at: datetime | None
    summary: str
    more: bool
    items: list[DriftBeforeAlertItem]
