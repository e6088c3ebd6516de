"""Hosts."""

from typing import Annotated

import msgspec
from litestar import Request, Router, delete, get, patch
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.hosts import AgentRun, Host, HostChange, HostStatus, HostWithStatus
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.host_status import Facts, assess
from infrawatch_api.domain.inputs import parse_tags, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import authorize, requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import HostIdParameter, existing_host_id
from infrawatch_api.store import hosts, streams


@get(
    "/",
    guards=[requires(Role.VIEWER)],
    operation_id="listHosts",
    summary="List hosts",
)
async def list_hosts(
    api: ApiDependency,
    name: Annotated[str | None, QueryParameter(max_length=512, description="Part of the name, in any case.")] = None,
    tag: Annotated[
        list[str] | None, QueryParameter(max_items=64, description="A tag as key:value; repeat it for several.")
    ] = None,
    retired: Annotated[bool, QueryParameter(description="The retired hosts instead of those in service.")] = False,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Host]:
    """Hosts by id. All filters must hold."""
    wanted = paging(cursor, limit, [str], default=api.settings.page_size, most=api.settings.page_size_max)
    filters = parse_tags(tag or [])
    part = plain_text("name", name)
    async with api.database.connection() as connection:
        found = await hosts.page(
            connection,
            after=wanted.after_text,
            name=part,
            tags=filters,
            retired=retired,
            limit=wanted.fetch,
        )
    return wanted.page(found, lambda host: [host.id])


@get("/{host_id:str}", guards=[requires(Role.VIEWER)], operation_id="getHost", summary="Get a host")
async def get_host(api: ApiDependency, host_id: HostIdParameter) -> HostWithStatus:
    """A host with its state, the reason for it, what is wrong with its records, and its latest gaps."""
    now, rules = api.clock(), api.status_rules
    async with api.database.connection() as connection:
        host = await hosts.get(connection, existing_host_id(host_id))
        if host is None:
            raise not_found("host")
        runs = await streams.of_host(connection, host_id)
        facts = Facts(
            last_seen=host.last_seen,
            retired=host.retired,
            streams=runs,
            refused=await streams.refused(connection, host_id, now),
            pipeline=await streams.pipeline(connection, now - rules.silent_after),
        )
    return HostWithStatus(
        **msgspec.structs.asdict(host),
        status=msgspec.convert(assess(facts, rules, now), HostStatus, from_attributes=True),
        agent_runs=msgspec.convert(runs, list[AgentRun], from_attributes=True),
    )


@patch(
    "/{host_id:str}",
    guards=[requires(Role.OPERATOR)],
    operation_id="changeHost",
    summary="Change a host",
)
async def change_host(
    data: JSONBody[HostChange], api: ApiDependency, act: ActDependency, host_id: HostIdParameter
) -> Host:
    """Changes name and tags; new tags replace all that the host has."""
    async with api.database.transaction() as connection:
        host = await hosts.update(connection, existing_host_id(host_id), data.name, data.tags)
        if host is None:
            raise not_found("host")
        await act.write(connection, Action.HOST_CHANGED, host_id, **data.model_dump(exclude_none=True))
    return host


@delete(
    "/{host_id:str}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="removeHost",
    summary="Retire or purge a host",
)
async def remove_host(
    request: Request,  # type: ignore[type-arg]
    api: ApiDependency,
    act: ActDependency,
    host_id: HostIdParameter,
    purge: Annotated[bool, QueryParameter(description="Delete the host and all that it reported.")] = False,
) -> None:
    """Retiring keeps what the host reported, and revokes its keys and its users of Kafka. Purging, for administrators,
    deletes the host with its samples, snapshots, alerts and alert events; its keys stay revoked.
    """
    if purge:
        await authorize(request, Role.ADMIN)
    remove = hosts.purge if purge else hosts.retire
    async with api.database.transaction() as connection:
        if not await remove(connection, existing_host_id(host_id), act.at):
            raise not_found("host")
        await act.write(connection, Action.HOST_PURGED if purge else Action.HOST_RETIRED, host_id)
    api.agent_users.key_was_revoked()


router = Router("/hosts", route_handlers=[list_hosts, get_host, change_host, remove_host], tags=["hosts"])
