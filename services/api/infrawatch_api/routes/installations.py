"""Who had a package."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.fleet import Installation
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed
from infrawatch_api.domain.fleet_order import sortable
from infrawatch_api.domain.inputs import InvalidInputError, parse_tags, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.version_ranges import VersionRange
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit
from infrawatch_api.routes.fleet_parameters import AsOf, SourceFilter, TagFilter, as_of
from infrawatch_api.store import installations
from infrawatch_api.store.fleet import reading
from infrawatch_api.store.installations import Sought, Version
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import subject

_TABLE = Table.of("packages", Installation)
_KEYS = (datetime, str, str)


@get(
    "/packages",
    guards=[requires(Role.VIEWER)],
    operation_id="listInstallations",
    summary="Who had a package",
    opt={CSV: True},
)
async def list_installations(  # noqa: PLR0913 - each filter is a parameter
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    name: Annotated[str, QueryParameter(min_length=1, max_length=4096, description="Name of the package.")],
    source: SourceFilter = None,
    at: AsOf = None,
    min_version: Annotated[
        str | None, QueryParameter(max_length=512, description="This version or a newer one.")
    ] = None,
    max_version: Annotated[
        str | None, QueryParameter(max_length=512, description="This version or an older one.")
    ] = None,
    before_version: Annotated[str | None, QueryParameter(max_length=512, description="An older version.")] = None,
    tag: TagFilter = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Installation]:
    """Hosts that had a package, by id and source. Versions are compared as the source compares them; those that cannot
    be compared are listed too, and say so. A package that is there in several versions counts as its newest.
    """
    moment, tags = as_of(at, cursor, _KEYS, api.clock()), parse_tags(tag or [])
    bounds = VersionRange(
        plain_text("min_version", min_version),
        plain_text("max_version", max_version),
        plain_text("before_version", before_version),
    )
    most = api.settings.fleet_values_max
    async with reading(api.database) as connection:
        known = await installations.versions(
            connection, plain_text("name", name) or "", plain_text("source", source), most + 1
        )
    if len(known) > most:
        raise InvalidInputError("name", f"is a package of more than {most} versions; name the source")
    found = {one.fact: one for one in known if bounds.holds(one.source, one.version) is not False}
    sought = [_sought(one) for one in found.values()]

    async def fetch(after: tuple[Any, ...] | None, wanted: int) -> list[Installation]:
        async with reading(api.database) as connection:
            rows = await installations.page(connection, moment, tags, sought, _position(after), wanted)
        return [
            Installation(
                host_id,
                found[fact].source,
                name,
                found[fact].version,
                since,
                bounds.holds(found[fact].source, found[fact].version) is True,
            )
            for host_id, fact, since in rows
        ]

    async def count(after: tuple[Any, ...] | None, wanted: int) -> int:
        async with reading(api.database) as connection:
            return await installations.count(connection, moment, tags, sought, _position(after), wanted)

    listing = Listing(_TABLE, _KEYS, lambda one: [moment, one.host_id, sortable(one.source)], fetch, count)
    answer: Page[Installation] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


def _sought(one: Version) -> Sought:
    return Sought(one.fact, sortable(one.source), one.subject, subject(Key(Category.SOURCE, one.source, "")))


def _position(after: tuple[Any, ...] | None) -> tuple[str, str]:
    return (after[1], after[2]) if after else ("", "")


router = Router("/drift", route_handlers=[list_installations], tags=["fleet"])
