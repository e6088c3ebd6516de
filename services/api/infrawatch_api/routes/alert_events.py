"""Alert events: what the rules did."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import ApiDependency
from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.contract.common import Page
from infrawatch_api.domain.inputs import period
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import HostIdFilter, checked_host_id
from infrawatch_api.store import alert_events
from infrawatch_common.alerts.rules import Severity


@get("/", guards=[requires(Role.VIEWER)], operation_id="listAlertEvents", summary="List alert events")
async def list_alert_events(  # noqa: PLR0913 - each filter is a parameter
    *,
    api: ApiDependency,
    host_id: HostIdFilter = None,
    alert_id: Annotated[UUID | None, QueryParameter(description="Id of a rule, which may be deleted.")] = None,
    severity: Annotated[Severity | None, QueryParameter(description="How bad it was.")] = None,
    firing: Annotated[bool | None, QueryParameter(description="Only what still fires, or only what has ended.")] = None,
    late: Annotated[bool | None, QueryParameter(description="Only what was found late, or only what was not.")] = None,
    start: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 time at or after which they fired.")
    ] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="RFC 3339 time before which they fired.")] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[AlertEvent]:
    """By the time that they fired at, newest first. All filters must hold."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    since, until = period(start, end)
    filters = alert_events.Filters(checked_host_id(host_id), alert_id, severity, firing, late, since, until)
    async with api.database.connection() as connection:
        found = await alert_events.page(connection, filters, wanted.after, wanted.fetch)
    return wanted.page(found, lambda event: [event.fired_at, event.id])


@get("/{event_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getAlertEvent", summary="Get an alert event")
async def get_alert_event(
    api: ApiDependency, event_id: Annotated[UUID, PathParameter(description="Id of an alert event.")]
) -> AlertEvent:
    """Get an alert event."""
    async with api.database.connection() as connection:
        event = await alert_events.get(connection, event_id)
    if event is None:
        raise not_found("alert event")
    return event


router = Router("/alert-events", route_handlers=[list_alert_events, get_alert_event], tags=["alert events"])
