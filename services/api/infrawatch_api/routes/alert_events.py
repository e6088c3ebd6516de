"""Alert events: what the rules did."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.alerts import AlertEvent, DiagnosedAlertEvent, Diagnosis
from infrawatch_api.contract.common import Page
from infrawatch_api.domain import diagnosis as domain
from infrawatch_api.domain.host_status import Facts, assess
from infrawatch_api.domain.inputs import period
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import HostIdFilter, checked_host_id
from infrawatch_api.store import alert_events, streams, traces
from infrawatch_common.alerts.rules import Metric, Severity
from infrawatch_common.database import Connection


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
) -> DiagnosedAlertEvent:
    """Get an alert event; a heartbeat's with what the silence was, as far as that is known by now."""
    async with api.database.connection() as connection:
        event = await alert_events.get(connection, event_id)
        if event is None:
            raise not_found("alert event")
        found = await _diagnosis(api, connection, event) if event.metric is Metric.HEARTBEAT else None
    return DiagnosedAlertEvent(
        **msgspec.structs.asdict(event),
        diagnosis=msgspec.convert(found, Diagnosis, from_attributes=True) if found is not None else None,
    )


async def _diagnosis(api: Api, connection: Connection, event: AlertEvent) -> domain.Diagnosis:
    now = api.clock()
    runs = await streams.of_host(connection, event.host_id)
    facts = Facts(last_seen=None, retired=None, streams=runs, refused=(), pipeline=None)
    latest = max(runs, key=lambda run: run.last_appended_at, default=None)
    silence = domain.Silence(event.since, event.fired_at, event.found_at, event.late, event.resolved_at)
    found = domain.Traces(
        *await traces.samples(connection, event.host_id, event.since, event.resolved_at or now),
        refused=await traces.refused(connection, event.host_id, event.since, event.resolved_at or now),
        status=assess(facts, api.status_rules, now),
        heard_at=latest.last_appended_at if latest is not None else None,
        stamped_at=latest.newest_at if latest is not None else None,
    )
    return domain.diagnose(silence, found)


router = Router("/alert-events", route_handlers=[list_alert_events, get_alert_event], tags=["alert events"])
