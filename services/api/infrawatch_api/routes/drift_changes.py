"""Changes of hosts' configurations."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.drift import DriftChange, DriftChangeWithHistory
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed
from infrawatch_api.domain.drift_changes import ChangeState, DriftSeverity
from infrawatch_api.domain.inputs import parse_tags, period, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import HostIdFilter, TagFilter, checked_host_id
from infrawatch_api.store import drift_changes, snapshots
from infrawatch_common.drift.changes import Action, Category, Direction

_TABLE = Table.of("drift-changes", DriftChange, first=("at", "host_id", "severity", "sentence"))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads changes, each time on a connection of its own; the time stays that of the request."""

    api: Api
    filters: drift_changes.Filters
    now: datetime

    async def page(self, after: tuple[Any, ...] | None, limit: int) -> list[DriftChange]:
        async with self.api.database.connection() as connection:
            return await drift_changes.page(connection, self.filters, after, limit, self.now)

    async def number(self, after: tuple[Any, ...] | None, most: int) -> int:
        async with self.api.database.connection() as connection:
            return await drift_changes.number(connection, self.filters, after, most, self.now)


@get("/", guards=[requires(Role.VIEWER)], opt={CSV: True}, operation_id="listDriftChanges", summary="List drift")
async def list_drift_changes(  # noqa: PLR0913 - each filter is a parameter
    *,
    request: Request[Any, Any, Any],
    api: ApiDependency,
    host_id: HostIdFilter = None,
    tag: TagFilter = None,
    snapshot_id: Annotated[
        UUID | None, QueryParameter(description="Id of the snapshot that showed them first.")
    ] = None,
    category: Annotated[
        list[Category] | None, QueryParameter(max_items=8, description="What changed; repeat it for several.")
    ] = None,
    source: Annotated[
        str | None, QueryParameter(max_length=4096, description="What lists the package, such as dpkg.")
    ] = None,
    name: Annotated[str | None, QueryParameter(min_length=1, max_length=4096, description="Its name, exactly.")] = None,
    action: Annotated[Action | None, QueryParameter(description="What happened to it.")] = None,
    direction: Annotated[Direction | None, QueryParameter(description="Which way a version went.")] = None,
    severity: Annotated[
        list[DriftSeverity] | None, QueryParameter(max_items=8, description="How bad it is; repeat it for several.")
    ] = None,
    standing: Annotated[ChangeState | None, QueryParameter(name="state", description="What people said of it.")] = None,
    hidden: Annotated[bool, QueryParameter(description="What is ignored instead of what is not.")] = False,
    late: Annotated[bool | None, QueryParameter(description="Only what was found late, or only what was not.")] = None,
    start: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 time at or after which they were seen first.")
    ] = None,
    end: Annotated[
        str | None, QueryParameter(name="to", description="RFC 3339 time before which they were seen first.")
    ] = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[DriftChange]:
    """How the configurations of hosts changed, by the time that they were seen first, newest first. All filters must
    hold. What is ignored is listed only with hidden.
    """
    filters = drift_changes.Filters(
        checked_host_id(host_id),
        parse_tags(tag or []),
        snapshot_id,
        category,
        plain_text("source", source),
        plain_text("name", name),
        action,
        direction,
        severity,
        standing,
        hidden,
        late,
        *period(start, end),
    )
    reader = _Reader(api, filters, api.clock())
    listing = Listing(_TABLE, (datetime, UUID), lambda found: (found.at, found.id), reader.page, reader.number)
    answer: Page[DriftChange] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


@get("/{change_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getDriftChange", summary="Get a change")
async def get_drift_change(
    api: ApiDependency, change_id: Annotated[UUID, PathParameter(description="Id of a change.")]
) -> DriftChangeWithHistory:
    """With what was said of it, the snapshots that it lies between, and how many other hosts came to the same."""
    now = api.clock()
    async with api.database.connection() as connection:
        change = await drift_changes.get(connection, change_id, now)
        if change is None:
            raise not_found("change")
        after = await snapshots.brief(connection, change.snapshot_id)
        return DriftChangeWithHistory(
            **msgspec.structs.asdict(change),
            verdicts=await drift_changes.verdicts(connection, change_id),
            snapshot_before=await snapshots.brief_before(connection, after) if after is not None else None,
            snapshot_after=after,
            other_hosts=await drift_changes.other_hosts(connection, change_id, now),
        )


router = Router("/drift", route_handlers=[list_drift_changes, get_drift_change], tags=["drift"])
