"""Alerts: the rules."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.alerts import Alert, AlertChange, AlertVersion, NewAlert
from infrawatch_api.contract.common import Page
from infrawatch_api.domain.alert_rules import Definition, changes, defined, merged, objections
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.inputs import plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, invalid_fields, not_found
from infrawatch_api.routes.parameters import AlertIdParameter, HostIdFilter, checked_host_id
from infrawatch_api.store import alerts, hosts
from infrawatch_common.alerts.rules import Metric, Severity
from infrawatch_common.database import Connection
from infrawatch_common.settings import variable

_UNKNOWN_HOST = "should be the id of a host that is there"


@get("/", guards=[requires(Role.VIEWER)], operation_id="listAlerts", summary="List alerts")
async def list_alerts(  # noqa: PLR0913 - each filter is a parameter
    *,
    api: ApiDependency,
    host_id: HostIdFilter = None,
    metric: Annotated[Metric | None, QueryParameter(description="What they watch.")] = None,
    severity: Annotated[Severity | None, QueryParameter(description="How bad it is when they fire.")] = None,
    enabled: Annotated[bool | None, QueryParameter(description="Only those that are enabled, or that are not.")] = None,
    name: Annotated[str | None, QueryParameter(max_length=512, description="Part of the name, in any case.")] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Alert]:
    """Newest first. All filters must hold; with a host those that are for it alone, not those that select it."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    filters = alerts.Filters(checked_host_id(host_id), metric, severity, enabled, plain_text("name", name))
    async with api.database.connection() as connection:
        found = await alerts.page(connection, filters, wanted.after, wanted.fetch)
    return wanted.page(found, lambda alert: [alert.created_at, alert.id])


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createAlert",
    summary="Create an alert",
)
async def create_alert(
    data: JSONBody[NewAlert], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> Alert:
    """The rule judges samples from now on. There is a most number of rules (409)."""
    definition = defined(dict(data))
    _refuse_contradictions(api, definition)
    async with api.database.transaction() as connection:
        if await _is_unknown_host(connection, data.host_id):
            raise invalid("host_id", _UNKNOWN_HOST)
        if await alerts.lock_creation(connection) >= api.settings.alerts_max:
            raise ProblemError(
                Kind.CONFLICT,
                f"There are as many alerts as {variable('alerts_max')} allows, {api.settings.alerts_max};"
                " delete some, or raise it.",
            )
        alert = await alerts.insert(connection, definition, caller.user_id, act.at)
        await act.write(connection, Action.ALERT_CREATED, str(alert.id), version=alert.version, **definition.as_json())
    return alert


@get("/{alert_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getAlert", summary="Get an alert")
async def get_alert(api: ApiDependency, alert_id: AlertIdParameter) -> Alert:
    """Get an alert."""
    async with api.database.connection() as connection:
        stored = await alerts.get(connection, alert_id)
    if stored is None:
        raise not_found("alert")
    return stored.alert


@patch(
    "/{alert_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    opt={PROBLEMS: [409]},
    operation_id="changeAlert",
    summary="Change an alert",
)
async def change_alert(
    data: JSONBody[AlertChange],
    api: ApiDependency,
    caller: CallerDependency,
    act: ActDependency,
    alert_id: AlertIdParameter,
) -> Alert:
    """Each change makes a new version, and ends what fires by the one before. Fields that are absent stay, and null
    takes a value away; what comes of it must be right as a whole. A change that changes nothing makes no version.
    """
    async with api.database.transaction() as connection:
        # Hosts before rules: in the order in which a purge takes them.
        unknown_host = await _is_unknown_host(connection, data.host_id)
        stored = await alerts.lock(connection, alert_id)
        if stored is None:
            raise not_found("alert")
        _refuse_stale(stored.alert.version, data.expected_version())
        if unknown_host:
            raise invalid("host_id", _UNKNOWN_HOST)
        after = merged(stored.definition, data.given())
        _refuse_contradictions(api, after)
        changed = changes(stored.definition.as_json(), after.as_json())
        if not changed:
            return stored.alert
        alert = await alerts.update(connection, alert_id, after, caller.user_id, act.at)
        await act.write(connection, Action.ALERT_CHANGED, str(alert_id), version=alert.version, changes=changed)
    return alert


@delete(
    "/{alert_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteAlert",
    summary="Delete an alert",
)
async def delete_alert(api: ApiDependency, act: ActDependency, alert_id: AlertIdParameter) -> None:
    """What it fires ends. Its versions and events stay."""
    async with api.database.transaction() as connection:
        stored = await alerts.lock(connection, alert_id)
        if stored is None:
            raise not_found("alert")
        await alerts.delete(connection, alert_id)
        detail = {"version": stored.alert.version, **stored.definition.as_json()}
        await act.write(connection, Action.ALERT_DELETED, str(alert_id), **detail)


@get(
    "/{alert_id:uuid}/versions",
    guards=[requires(Role.VIEWER)],
    operation_id="listAlertVersions",
    summary="Who changed an alert",
)
async def list_alert_versions(
    api: ApiDependency, alert_id: AlertIdParameter, cursor: Cursor = None, limit: Limit = None
) -> Page[AlertVersion]:
    """Every version of a rule, the latest first: who made it when, how it differs from the one before, and the whole
    rule. Those of a deleted rule too.
    """
    wanted = paging(cursor, limit, [int], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await alerts.versions(connection, alert_id, wanted.after[0] if wanted.after else None, wanted.fetch)
    if not found and wanted.after is None:
        raise not_found("alert")
    return wanted.page(found, lambda version: [version.version])


def _refuse_contradictions(api: Api, definition: Definition) -> None:
    found = objections(definition, timedelta(seconds=api.settings.alert_duration_max))
    if found:
        raise invalid_fields(found)


def _refuse_stale(version: int, expected: int | None) -> None:
    if expected not in {None, version}:
        raise ProblemError(
            Kind.CONFLICT, f"The alert has version {version} by now, not {expected}; read it again and decide anew."
        )


async def _is_unknown_host(connection: Connection, host_id: str | None) -> bool:
    return host_id is not None and not await hosts.keep(connection, host_id)


router = Router(
    "/alerts",
    route_handlers=[list_alerts, create_alert, get_alert, change_alert, delete_alert, list_alert_versions],
    tags=["alerts"],
)
