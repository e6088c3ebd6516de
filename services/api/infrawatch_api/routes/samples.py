"""Samples: of one host over time, and the latest of all."""

from datetime import timedelta

from litestar import Router, get

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.hosts import Bucket, LatestSample, Sample
from infrawatch_api.domain.buckets import Range, parse_bucket, parse_range, plan_buckets, plan_sources, raw_range
from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import BucketWidth, HostIdParameter, RangeEnd, RangeStart, existing_host_id
from infrawatch_api.store import hosts, samples


@get(
    "/hosts/{host_id:str}/metrics",
    guards=[requires(Role.VIEWER)],
    operation_id="getHostMetrics",
    summary="Samples of a host",
)
async def get_host_metrics(
    api: ApiDependency,
    host_id: HostIdParameter,
    start: RangeStart = None,
    end: RangeEnd = None,
    bucket: BucketWidth = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Sample] | Page[Bucket]:
    """Without bucket: samples in the order of time, in pages. With bucket: count and spread of every bucket that the
    range touches, in one answer; a bucket without samples has count 0 and null values, so that gaps are visible.
    Buckets are aligned to Monday, midnight UTC. Those of whole hours are answered from hourly figures, which are kept
    longer than samples: an hour whose samples are dropped is counted whole. For raw samples and narrower buckets, from
    must not be before the samples that are kept.
    """
    covered = parse_range(start, end, api.clock(), timedelta(days=api.settings.range_max_days))
    host = existing_host_id(host_id)
    if bucket is None:
        return await _raw(api, host, covered, cursor, limit)
    if cursor is not None or limit is not None:
        name = "limit" if cursor is None else "cursor"
        raise InvalidInputError(name, "has no meaning with bucket: all buckets come in one answer")
    return await _bucketed(api, host, covered, bucket)


async def _raw(api: Api, host_id: str, covered: Range, cursor: str | None, limit: int | None) -> Page[Sample]:
    wanted = paging(cursor, limit, samples.KEYS, default=api.settings.page_size, most=api.settings.points_max)
    async with api.database.connection() as connection:
        kept = raw_range(covered, await samples.raw_from(connection))
        found = await samples.raw(connection, host_id, kept, wanted.after, wanted.fetch)
        if not found and await hosts.get(connection, host_id) is None:
            raise not_found("host")
    return wanted.page(found, lambda sample: [sample.timestamp, sample.id])


async def _bucketed(api: Api, host_id: str, covered: Range, bucket: str) -> Page[Bucket]:
    width = parse_bucket(bucket)
    plan = plan_buckets(covered, width, api.settings.points_max)
    async with api.database.connection() as connection:
        kept_from = await samples.raw_from(connection)
        sources = plan_sources(covered, width, kept_from)
        if sources is None:
            series = await samples.bucketed(connection, host_id, raw_range(covered, kept_from), plan)
        else:
            series = await samples.bucketed_by_hour(connection, host_id, sources, plan, kept_from)
        if not any(item.count for item in series) and await hosts.get(connection, host_id) is None:
            raise not_found("host")
    return Page(series, None)


@get(
    "/metrics/latest",
    guards=[requires(Role.VIEWER)],
    operation_id="listLatestMetrics",
    summary="Latest sample of every host",
)
async def list_latest(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[LatestSample]:
    """Hosts in service by id, each with its latest sample."""
    wanted = paging(cursor, limit, [str], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await samples.latest(connection, wanted.after_text, wanted.fetch)
    return wanted.page(found, lambda item: [item.host_id])


router = Router("/", route_handlers=[get_host_metrics, list_latest], tags=["metrics"])
