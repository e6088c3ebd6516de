"""What hosts may have although others have something else."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, ApiDependency, CallerDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.drift_triage import DriftBaseline, NewDriftBaseline
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.drift_triage import about, later_than_now
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, invalid_fields, not_found
from infrawatch_api.routes.parameters import HostIdFilter, checked_host_id
from infrawatch_api.store import drift_baselines, hosts
from infrawatch_api.store.drift_locks import hold_baselines
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Key

_TABLE = Table.of("drift-baselines", DriftBaseline)


@get(
    "/",
    guards=[requires(Role.VIEWER)],
    opt={CSV: True},
    operation_id="listDriftBaselines",
    summary="List baselines",
)
async def list_drift_baselines(
    *,
    request: Request[Any, Any, Any],
    api: ApiDependency,
    host_id: HostIdFilter = None,
    in_force: Annotated[
        bool | None, QueryParameter(description="Only those that count now, or only those that no longer do.")
    ] = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[DriftBaseline]:
    """What was accepted last first. All filters must hold."""
    filters, now = drift_baselines.Filters(checked_host_id(host_id), in_force), api.clock()

    async def page(after: tuple[Any, ...] | None, most: int) -> list[DriftBaseline]:
        async with api.database.connection() as connection:
            return await drift_baselines.page(connection, filters, after, most, now)

    async def number(after: tuple[Any, ...] | None, most: int) -> int:
        async with api.database.connection() as connection:
            return await drift_baselines.number(connection, filters, after, most, now)

    listing = Listing(_TABLE, (datetime, UUID), lambda found: (found.accepted_at, found.id), page, number)
    answer: Page[DriftBaseline] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createDriftBaseline",
    summary="Accept what a host has now",
)
async def create_drift_baseline(
    data: JSONBody[NewDriftBaseline], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> DriftBaseline:
    """By its latest snapshot; that it does not have it, too. It takes the place of the baseline that was in force. A
    host without any snapshot has nothing that could be accepted (409).
    """
    key = about(data.category, data.source, data.name)
    wrong = later_than_now(data.expires_at, act.at) | (key if isinstance(key, dict) else {})
    if isinstance(key, dict) or wrong:
        raise invalid_fields(wrong)
    acceptance = drift_baselines.Acceptance(data.reason, act.at, caller.user_id, data.expires_at)
    async with api.database.transaction() as connection:
        if not await hosts.keep(connection, data.host_id):
            raise invalid("host_id", "should be the id of a host that there is")
        await hold_baselines(connection)
        await _refuse_unknown(connection, data.host_id, key)
        baseline = await drift_baselines.replace(connection, data.host_id, key, acceptance)
        await act.write(connection, Action.DRIFT_BASELINE_CREATED, str(baseline.id), **_noted(baseline))
    return baseline


@delete(
    "/{baseline_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteDriftBaseline",
    summary="End a baseline",
)
async def delete_drift_baseline(
    api: ApiDependency,
    caller: CallerDependency,
    act: ActDependency,
    baseline_id: Annotated[UUID, PathParameter(description="Id of a baseline.")],
) -> None:
    """It ends now and stays in the list; the host deviates again if it differs. The verdict that made it stays, too."""
    async with api.database.transaction() as connection:
        baseline = await drift_baselines.lock(connection, baseline_id, act.at)
        if baseline is None:
            raise not_found("baseline")
        if baseline.in_force:
            await drift_baselines.end(connection, baseline_id, caller.user_id, act.at)
            await act.write(connection, Action.DRIFT_BASELINE_ENDED, str(baseline_id), **_noted(baseline))


async def _refuse_unknown(connection: Connection, host_id: str, key: Key) -> None:
    if not await drift_baselines.has_snapshot(connection, host_id):
        raise ProblemError(Kind.CONFLICT, "The host has sent no snapshot yet; wait for its first.")
    if not await drift_baselines.is_known(connection, key):
        raise invalid("name", "should be of something that a host has or had, letter by letter")


def _noted(baseline: DriftBaseline) -> dict[str, object]:
    # Without the value, which may be secret.
    return {
        "host_id": baseline.host_id,
        "category": baseline.category,
        "source": baseline.source,
        "name": baseline.name,
        "reason": baseline.reason,
        "expires_at": baseline.expires_at.isoformat() if baseline.expires_at is not None else None,
    }


router = Router(
    "/drift/baselines",
    route_handlers=[list_drift_baselines, create_drift_baseline, delete_drift_baseline],
    tags=["drift triage"],
)
