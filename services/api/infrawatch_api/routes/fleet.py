"""The fleet compared: what most hosts have, who has something else, and every host's configuration as of a time."""

from datetime import datetime
from operator import itemgetter
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.fleet import Deviation, FleetHost, FleetSubject, FleetView
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed, table_answer, wants_csv
from infrawatch_api.domain.fleet import Majority, Wanted, shown
from infrawatch_api.domain.fleet_order import DEVIATION_RANK, MAJORITY_RANK, deviation_rank, majority_rank
from infrawatch_api.domain.inputs import parse_tags, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.fleet_deviants import DeviationList, Which
from infrawatch_api.fleet_views import Question, compare
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.routes.fleet_parameters import (
    AsOf,
    CategoryFilter,
    GroupBy,
    NameFilter,
    SourceFilter,
    TagFilter,
    as_of,
    subject_category,
)
from infrawatch_api.routes.parameters import HostIdFilter, checked_host_id
from infrawatch_api.store import fleet, fleet_hosts
from infrawatch_common.drift.changes import Key

_SUBJECTS = Table.of("fleet", FleetSubject)
_DEVIATIONS = Table.of("deviations", Deviation)
_HOSTS = Table.of("hosts", FleetHost)
_SUBJECT_KEYS = (datetime, *MAJORITY_RANK)
_DEVIATION_KEYS = (datetime, *DEVIATION_RANK, str)
_HOST_KEYS = (datetime, str)


@get(
    "/fleet",
    guards=[requires(Role.VIEWER)],
    operation_id="compareFleet",
    summary="What most hosts have",
    opt={CSV: True},
)
async def compare_fleet(  # noqa: PLR0913 - a question with many optional parts
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    group_by: GroupBy = None,
    at: AsOf = None,
    tag: TagFilter = None,
    category: CategoryFilter = None,
    source: SourceFilter = None,
    name: NameFilter = None,
    deviating: Annotated[
        bool, QueryParameter(description="Only subjects in which hosts deviate; false: all subjects.")
    ] = True,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> FleetView:
    """Each package, kernel, operating system and variable of each group of hosts: the value that most hosts have, and
    how many have it, have another, or have another that is accepted. What most hosts deviate in comes first. Hosts that
    do not report a source are not compared in its packages. All pages are as of the time of the first.
    """
    as_file = wants_csv(request, form)
    most = api.settings.csv_rows_max if as_file else api.settings.page_size_max
    default = most if as_file else api.settings.page_size
    wanted = paging(cursor, limit, _SUBJECT_KEYS, default=default, most=most)
    moment = as_of(at, cursor, _SUBJECT_KEYS, api.clock())
    about = Wanted(
        subject_category(category), plain_text("source", source), plain_text("name", name), everything=not deviating
    )
    question = Question(moment, parse_tags(tag or []), plain_text("group_by", group_by), about)
    async with fleet.reading(api.database) as connection:
        found = await compare(connection, api.settings, question)
    labels = found.fleet.labels
    ranked = sorted(((majority_rank(labels[one.group], one), one) for one in found.majorities), key=itemgetter(0))
    rest = [item for item in ranked if wanted.after is None or item[0] > wanted.after[1:]]
    page = wanted.page(rest[: wanted.fetch], lambda item: [moment, *item[0]])
    items = [_subject(labels[one.group], one) for _, one in page.items]
    if as_file:
        return table_answer(_SUBJECTS, items, cut=page.next_cursor is not None)  # type: ignore[return-value]
    return FleetView(items, page.next_cursor, moment, len(found.fleet.members), found.fleet.unknown)


def _subject(label: str | None, one: Majority) -> FleetSubject:
    return FleetSubject(
        group=label,
        category=one.key.category,
        source=one.key.source,
        name=one.key.name,
        majority=shown(one.key, one.value),
        decided_by=one.decided,
        hosts=one.asked,
        having=one.have,
        deviating=one.deviating,
        accepted=one.accepted,
        values=len(one.facts),
    )


@get(
    "/fleet/deviations",
    guards=[requires(Role.VIEWER)],
    operation_id="listDeviations",
    summary="Which hosts have something else",
    opt={CSV: True},
)
async def list_deviations(  # noqa: PLR0913 - each filter is a parameter
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    host_id: HostIdFilter = None,
    group_by: GroupBy = None,
    group: Annotated[
        str | None, QueryParameter(max_length=4096, description="With group_by: only the group with this value.")
    ] = None,
    grouped: Annotated[
        bool | None, QueryParameter(description="With group_by: only hosts that have the tag, or only those without.")
    ] = None,
    at: AsOf = None,
    tag: TagFilter = None,
    category: CategoryFilter = None,
    source: SourceFilter = None,
    name: NameFilter = None,
    accepted: Annotated[bool | None, QueryParameter(description="Only what is accepted, or only what is not.")] = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Deviation]:
    """Every host that has something else than most of its group, by group, subject and host. Tags choose which hosts
    are compared; host and group choose what is shown of that.
    """
    moment = as_of(at, cursor, _DEVIATION_KEYS, api.clock())
    about = Wanted(subject_category(category), plain_text("source", source), plain_text("name", name), everything=True)
    question = Question(moment, parse_tags(tag or []), plain_text("group_by", group_by), about)
    which = Which(checked_host_id(host_id), plain_text("group", group), grouped, accepted)
    deviations = DeviationList(api, question, which)
    listing = Listing(
        _DEVIATIONS,
        _DEVIATION_KEYS,
        lambda one: [moment, *deviation_rank(one.group, Key(one.category, one.source, one.name)), one.host_id],
        deviations.fetch,
        deviations.count,
    )
    answer: Page[Deviation] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


@get(
    "/fleet/hosts",
    guards=[requires(Role.VIEWER)],
    operation_id="listFleetHosts",
    summary="Every host's configuration as of a time",
    opt={CSV: True},
)
async def list_fleet_hosts(  # noqa: PLR0913 - each filter is a parameter
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    at: AsOf = None,
    tag: TagFilter = None,
    reported: Annotated[
        bool | None, QueryParameter(description="Only hosts that had a snapshot by then, or only those without.")
    ] = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[FleetHost]:
    """Hosts that were in service at that time, by id, each with the snapshot that was in force."""
    moment, tags = as_of(at, cursor, _HOST_KEYS, api.clock()), parse_tags(tag or [])

    async def fetch(after: tuple[Any, ...] | None, most: int) -> list[FleetHost]:
        async with fleet.reading(api.database) as connection:
            return await fleet_hosts.page(connection, moment, tags, reported, after[1] if after else "", most)

    async def count(after: tuple[Any, ...] | None, most: int) -> int:
        async with fleet.reading(api.database) as connection:
            return await fleet_hosts.count(connection, moment, tags, reported, after[1] if after else "", most)

    listing = Listing(_HOSTS, _HOST_KEYS, lambda one: [moment, one.host_id], fetch, count)
    answer: Page[FleetHost] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


router = Router("/drift", route_handlers=[compare_fleet, list_deviations, list_fleet_hosts], tags=["fleet"])
