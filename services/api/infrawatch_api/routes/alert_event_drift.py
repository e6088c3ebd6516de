"""Before this alert: how the host changed, and how others fared with the same."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import ApiDependency
from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.contract.drift import DriftChange
from infrawatch_api.contract.drift_before_alert import DriftBeforeAlert, DriftBeforeAlertItem, DriftPeers
from infrawatch_api.domain.before_alert import NO_PEERS, moment, others, overview
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.problems import not_found
from infrawatch_api.store import alert_events, drift_peers


@get(
    "/{event_id:uuid}/drift",
    guards=[requires(Role.VIEWER)],
    operation_id="getDriftBeforeAlert",
    summary="See what changed before an alert",
)
async def get_drift_before_alert(
    api: ApiDependency,
    event_id: Annotated[UUID, PathParameter(description="Id of an alert event.")],
    hours: Annotated[int, QueryParameter(ge=1, le=720, description="How far back to look.")] = 24,
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="Most changes to tell, the newest.")] = 20,
) -> DriftBeforeAlert:
    """Changes of the host in the hours before the alert's condition became true and until it fired, those too that were
    seen only later but may have happened by then; hidden ones are left out. With each: which other hosts came to the
    same within seven days, and what fired there within the same number of hours after it.
    """
    async with api.database.connection() as connection:
        event = await alert_events.get(connection, event_id)
        if event is None:
            raise not_found("alert event")
        found = await drift_peers.changes(connection, event, hours, limit + 1, api.clock())
        shown, more = found[:limit], len(found) > limit
        ids = [change.id for change in shown]
        fared = await drift_peers.fared(connection, event, ids, hours, api.settings.drift_peers_max) if ids else {}
        seen_at = await drift_peers.seen_at(connection, event, hours)
    return DriftBeforeAlert(
        event_id=event.id,
        host_id=event.host_id,
        name=event.name,
        since=event.since,
        fired_at=event.fired_at,
        looked_from=event.since - timedelta(hours=hours),
        seen_at=seen_at,
        summary=overview(len(shown), more=more, hours=hours, seen_at=seen_at, since=event.since),
        more=more,
        items=[_item(event, change, fared.get(change.id), hours) for change in shown],
    )


def _item(event: AlertEvent, change: DriftChange, fared: drift_peers.Fared | None, hours: int) -> DriftBeforeAlertItem:
    peers = fared.peers if fared is not None else NO_PEERS
    when = moment(change.not_before, change.at, event.since)
    return DriftBeforeAlertItem(
        **msgspec.structs.asdict(change),
        seconds_before=(event.since - change.at).total_seconds(),
        summary=f"{change.sentence}, {when}; {others(peers, hours)}",
        others=DriftPeers(
            **peers._asdict(),
            first_hosts=fared.hosts if fared is not None else [],
            first_alerts=fared.alerts if fared is not None else [],
        ),
    )


router = Router("/alert-events", route_handlers=[get_drift_before_alert], tags=["drift"])
