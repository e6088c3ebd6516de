"""Snapshots of hosts' configurations."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.snapshots import Snapshot, SnapshotAt, SnapshotBrief
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed
from infrawatch_api.domain.inputs import parse_time, period
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit
from infrawatch_api.problems import Kind, ProblemError, not_found
from infrawatch_api.routes.parameters import HostIdParameter, existing_host_id
from infrawatch_api.store import snapshots
from infrawatch_common.database import Connection
from infrawatch_common.drift.hiding import hidden

_TABLE = Table.of("snapshots", SnapshotBrief)


@get(
    "/hosts/{host_id:str}/snapshots",
    guards=[requires(Role.VIEWER)],
    opt={CSV: True},
    operation_id="listSnapshots",
    summary="List the snapshots of a host",
)
async def list_snapshots(  # noqa: PLR0913 - each filter is a parameter
    *,
    request: Request[Any, Any, Any],
    api: ApiDependency,
    host_id: HostIdParameter,
    start: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 time at or after which they were in force.")
    ] = None,
    end: Annotated[
        str | None, QueryParameter(name="to", description="RFC 3339 time before which they were in force.")
    ] = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[SnapshotBrief]:
    """Every configuration that the host had, newest first. What is reported again, unchanged, confirms a snapshot and
    makes no new one. With from and to: those that were in force at any time between them.
    """
    filters = snapshots.Filters(existing_host_id(host_id), *period(start, end))
    async with api.database.connection() as connection:
        await _check_host(connection, host_id)
    listing = Listing(
        _TABLE,
        (datetime, UUID),
        lambda snapshot: (snapshot.timestamp, snapshot.id),
        partial(_page, api, filters),
        partial(_number, api, filters),
    )
    answer: Page[SnapshotBrief] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


async def _page(api: Api, filters: snapshots.Filters, after: tuple[Any, ...] | None, limit: int) -> list[SnapshotBrief]:
    async with api.database.connection() as connection:
        return await snapshots.page(connection, filters, after, limit)


async def _number(api: Api, filters: snapshots.Filters, after: tuple[Any, ...] | None, most: int) -> int:
    async with api.database.connection() as connection:
        return await snapshots.number(connection, filters, after, most)


@get(
    "/hosts/{host_id:str}/snapshots/at",
    guards=[requires(Role.VIEWER)],
    operation_id="getSnapshotAt",
    summary="Get the configuration of a host at a time",
)
async def get_snapshot_at(
    api: ApiDependency,
    host_id: HostIdParameter,
    time: Annotated[str | None, QueryParameter(description="RFC 3339 time; now by default.")] = None,
) -> SnapshotAt:
    """The snapshot that was in force then, and whether that is certain: it is not where the host last confirmed the
    snapshot before that time. A 404 tells apart a host that is not there and a time before its first snapshot.
    """
    moment = parse_time("time", time) if time is not None else api.clock()
    async with api.database.connection() as connection:
        await _check_host(connection, existing_host_id(host_id))
        stored = await snapshots.in_force(connection, host_id, moment)
        first = await snapshots.first_at(connection, host_id) if stored is None else None
    if stored is None:
        since = "it has none" if first is None else f"its first is of {first.isoformat().replace('+00:00', 'Z')}"
        raise ProblemError(Kind.NOT_FOUND, f"There is no snapshot of the host from then or before: {since}.")
    return SnapshotAt(**_shown(stored), time=moment, certain=moment <= stored.confirmed_at)


@get(
    "/snapshots/{snapshot_id:uuid}",
    guards=[requires(Role.VIEWER)],
    operation_id="getSnapshot",
    summary="Get a snapshot",
)
async def get_snapshot(
    api: ApiDependency,
    snapshot_id: Annotated[UUID, PathParameter(description="Id of a snapshot, or of a record that confirmed one.")],
) -> Snapshot:
    """With the id of any record that said the same, the snapshot that it confirmed, which has the id of the first."""
    async with api.database.connection() as connection:
        stored = await snapshots.get(connection, snapshot_id)
    if stored is None:
        raise not_found("snapshot")
    return Snapshot(**_shown(stored))


async def _check_host(connection: Connection, host_id: str) -> None:
    if not await snapshots.host_exists(connection, host_id):
        raise not_found("host")


def _shown(stored: snapshots.Stored) -> dict[str, Any]:
    """The fields of a ``Snapshot``, secrets hidden."""
    content = stored.content
    whole = {"os_info": content.os_info, "kernel": content.kernel, "packages": content.packages}
    variables = {name: hidden(name, value) for name, value in content.env_vars.items()}
    frame = {name: value for name, value in stored._asdict().items() if name != "content"}
    return {**frame, **whole, "env_vars": variables}


router = Router("/", route_handlers=[list_snapshots, get_snapshot_at, get_snapshot], tags=["snapshots"])
