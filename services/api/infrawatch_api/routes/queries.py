"""Samples of many hosts at once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.queries import HostSample, Series
from infrawatch_api.domain.buckets import Range, parse_bucket, parse_range, plan_buckets, plan_sources, raw_range
from infrawatch_api.domain.inputs import InvalidInputError, is_host_id, parse_tags, plain_text
from infrawatch_api.domain.queries import Chosen, Ranked, check_number_of_hosts, check_number_of_points
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.routes.parameters import BucketWidth, RangeEnd, RangeStart
from infrawatch_api.store import queries, samples
from infrawatch_common.database import Connection

_TOP = 10


@get(
    "/metrics/query",
    guards=[requires(Role.VIEWER)],
    operation_id="queryMetrics",
    summary="Samples of many hosts",
)
async def query_metrics(  # noqa: PLR0913 - a question with many optional parts
    *,
    api: ApiDependency,
    host: Annotated[
        list[str] | None, QueryParameter(max_items=1000, description="Id of a host; repeat it for several.")
    ] = None,
    tag: Annotated[
        list[str] | None, QueryParameter(max_items=64, description="A tag as key:value; repeat it for several.")
    ] = None,
    start: RangeStart = None,
    end: RangeEnd = None,
    bucket: BucketWidth = None,
    metric: Annotated[Ranked | None, QueryParameter(description="With bucket: which number; cpu by default.")] = None,
    group_by: Annotated[
        str | None, QueryParameter(max_length=512, description="With bucket: the tag to group hosts by.")
    ] = None,
    top: Annotated[
        int | None,
        QueryParameter(ge=1, le=1000, description="With bucket: how many groups, by their mean; 10 by default."),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[HostSample] | Page[Series]:
    """Hosts in service that are named and have all the tags. Without bucket: their samples by host and time, in pages.
    With bucket: the groups with the greatest mean of a number, each with all its buckets, in one answer; a group is a
    host, or all hosts with the same value of a tag. What is said of the range and buckets of one host holds here too.
    """
    covered = parse_range(start, end, api.clock(), timedelta(days=api.settings.range_max_days))
    _refuse_meaningless(
        "without bucket" if bucket is None else "with bucket: all groups come in one answer",
        {"metric": metric, "group_by": group_by, "top": top} if bucket is None else {"cursor": cursor, "limit": limit},
    )
    async with api.database.connection() as connection:
        chosen = await _choose(api, connection, host, tag, plain_text("group_by", group_by))
        if bucket is None:
            return await _raw(api, connection, [one.host_id for one in chosen], covered, cursor, limit)
        return await _series(api, connection, chosen, covered, bucket, metric or Ranked.CPU, top or _TOP)


def _refuse_meaningless(when: str, given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidInputError(name, f"has no meaning {when}")


async def _choose(
    api: Api, connection: Connection, named: list[str] | None, tag: list[str] | None, group_by: str | None
) -> Sequence[Chosen]:
    if not all(is_host_id(name) for name in named or ()):
        raise InvalidInputError("host", "should be the id of a host")
    most = api.settings.query_hosts_max
    chosen = await queries.choose(connection, named, parse_tags(tag or []), group_by, most + 1)
    check_number_of_hosts(len(chosen), most)
    return chosen


async def _raw(
    api: Api, connection: Connection, hosts: Sequence[str], covered: Range, cursor: str | None, limit: int | None
) -> Page[HostSample]:
    wanted = paging(cursor, limit, queries.KEYS, default=api.settings.page_size, most=api.settings.points_max)
    kept = raw_range(covered, await samples.raw_from(connection))
    found = await queries.raw(connection, hosts, kept, wanted.after, wanted.fetch)
    return wanted.page(found, lambda sample: [sample.host_id, sample.timestamp, sample.id])


async def _series(
    api: Api,
    connection: Connection,
    chosen: Sequence[Chosen],
    covered: Range,
    bucket: str,
    metric: Ranked,
    top: int,
) -> Page[Series]:
    width = parse_bucket(bucket)
    plan = plan_buckets(covered, width, api.settings.points_max)
    check_number_of_points(min(top, max(len(chosen), 1)), plan, api.settings.points_max)
    kept_from = await samples.raw_from(connection)
    source = plan_sources(covered, width, kept_from) or raw_range(covered, kept_from)
    return Page(await queries.series(connection, chosen, metric, top, plan, source, kept_from), None)


router = Router("/", route_handlers=[query_metrics], tags=["metrics"])
