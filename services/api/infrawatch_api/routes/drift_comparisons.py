"""Comparisons of two configurations."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import ApiDependency
from infrawatch_api.contract.drift import Difference
from infrawatch_api.contract.drift_comparisons import ComparedSnapshot, DriftComparison
from infrawatch_api.csv_export import CSV, FormatParameter, Table, table_answer, wants_csv
from infrawatch_api.domain.drift_changes import told
from infrawatch_api.domain.drift_sides import Side, parse_side
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.problems import Kind, ProblemError
from infrawatch_api.store import snapshots
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Change
from infrawatch_common.drift.diff import diff

_TABLE = Table.of("drift-comparison", Difference)
_SIDE = "HOST, HOST@TIME with an RFC 3339 time, or the id of a snapshot."


@get(
    "/compare",
    guards=[requires(Role.VIEWER)],
    opt={CSV: True},
    operation_id="compareSnapshots",
    summary="Compare two hosts, or a host at two times",
)
async def compare_snapshots(
    *,
    request: Request[Any, Any, Any],
    api: ApiDependency,
    left: Annotated[str, QueryParameter(max_length=256, description=_SIDE)],
    right: Annotated[str, QueryParameter(max_length=256, description=_SIDE)],
    category: Annotated[
        list[Category] | None, QueryParameter(max_items=8, description="Only these differences; repeat it for several.")
    ] = None,
    form: FormatParameter = None,
) -> DriftComparison:
    """Everything in which the configuration of right differs from that of left. Without a time a host is compared as it
    was last seen. Secrets are compared, and not shown.
    """
    sides = parse_side("left", left), parse_side("right", right)
    now = api.clock()
    async with api.database.connection() as connection:
        before = await _found(connection, "left", sides[0], now)
        after = await _found(connection, "right", sides[1], now)
    # Beside the loop: two hosts may have nothing in common.
    changes = await asyncio.to_thread(diff, before.content, after.content)
    chosen = [_shown(change) for change in changes if not category or change.category in category]
    if wants_csv(request, form):
        answer: Any = table_answer(_TABLE, chosen)
        return answer  # type: ignore[no-any-return]
    return DriftComparison(
        left=_side(before, sides[0], now),
        right=_side(after, sides[1], now),
        equal=not changes,
        counts=dict(Counter(str(change.category) for change in changes)),
        differences=chosen,
    )


async def _found(connection: Connection, field: str, side: Side, now: datetime) -> snapshots.Stored:
    stored = await snapshots.get(connection, side.snapshot_id) if side.snapshot_id is not None else None
    stored = stored or await snapshots.in_force(connection, side.host_id, side.time or now)
    if stored is None:
        raise ProblemError(Kind.NOT_FOUND, f"{field}: {await _missing(connection, side)}.")
    return stored


async def _missing(connection: Connection, side: Side) -> str:
    if not await snapshots.host_exists(connection, side.host_id):
        return "there is no such host" + (" and no such snapshot" if side.snapshot_id is not None else "")
    return "the host has no snapshot" + (" from then or before" if side.time is not None else "")


def _shown(change: Change) -> Difference:
    category, source, name = change.key
    return Difference(
        category=category,
        source=source,
        name=name,
        action=change.action,
        direction=change.direction,
        **told(change)._asdict(),
    )


def _side(stored: snapshots.Stored, side: Side, now: datetime) -> ComparedSnapshot:
    frame = {name: value for name, value in stored._asdict().items() if name != "content"}
    time = None if stored.id == side.snapshot_id or stored.host_id != side.host_id else side.time or now
    return ComparedSnapshot(**frame, time=time, certain=time is None or time <= stored.confirmed_at)


router = Router("/drift", route_handlers=[compare_snapshots], tags=["drift"])
