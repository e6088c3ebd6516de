"""Enrolments: administrators make them, agents claim them."""

import base64
from datetime import datetime, timedelta
from uuid import UUID

from litestar import Request, Router, delete, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import Act, ActDependency, Api, ApiDependency, client_ip
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.enrolments import Claim, CreatedEnrolment, Enrolment, HostCredentials, NewEnrolment
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.enrolment import ClaimRefusal, claimed_host, refuses_host
from infrawatch_api.domain.enrolment import Enrolment as Claimed
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.throttle import throttled_network
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, not_found
from infrawatch_api.routes.parameters import EnrolmentIdParameter
from infrawatch_api.routes.throttling import refuse_when_throttled
from infrawatch_api.secrets import TokenKind, new_key_id, new_token, token_hash
from infrawatch_api.store import enrolments, hosts
from infrawatch_common.database import Connection
from infrawatch_common.events import derive_secret
from infrawatch_common.hosts import NewHost, register_hosts

# Who acts when an agent claims: there is no user.
_AGENT = "agent"


@get("/", guards=[requires(Role.ADMIN)], operation_id="listEnrolments", summary="List enrolments")
async def list_enrolments(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[Enrolment]:
    """List enrolments."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await enrolments.page(connection, wanted.after, wanted.fetch)
    return wanted.page(found, lambda enrolment: [enrolment.created_at, enrolment.id])


@post(
    "/",
    guards=[requires(Role.ADMIN)],
    status_code=HTTP_201_CREATED,
    operation_id="createEnrolment",
    summary="Create an enrolment",
)
async def create_enrolment(data: JSONBody[NewEnrolment], api: ApiDependency, act: ActDependency) -> CreatedEnrolment:
    """Its token gives one host one key. The token is not shown again."""
    if data.expires_in > api.settings.enrolment_lifetime_max:
        raise invalid("expires_in", f"should be at most {api.settings.enrolment_lifetime_max} seconds")
    token = new_token(TokenKind.ENROLMENT)
    expires_at = act.at + timedelta(seconds=data.expires_in)
    async with api.database.transaction() as connection:
        enrolment_id = await enrolments.create(
            connection, token_hash(token), data.host_id, act.actor, now=act.at, expires_at=expires_at
        )
        await act.write(connection, Action.ENROLMENT_CREATED, str(enrolment_id), host_id=data.host_id)
    return CreatedEnrolment(enrolment_id, token, data.host_id, expires_at)


@delete(
    "/{enrolment_id:uuid}",
    guards=[requires(Role.ADMIN)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteEnrolment",
    summary="Delete an enrolment",
)
async def delete_enrolment(api: ApiDependency, act: ActDependency, enrolment_id: EnrolmentIdParameter) -> None:
    """Its token is void then. A key that it gave stays; retire the host to revoke it."""
    async with api.database.transaction() as connection:
        if not await enrolments.delete(connection, enrolment_id):
            raise not_found("enrolment")
        await act.write(connection, Action.ENROLMENT_DELETED, str(enrolment_id))


@post(
    "/claim",
    status_code=HTTP_200_OK,
    opt={PUBLIC: True, PROBLEMS: [403, 409, 429]},
    operation_id="claimEnrolment",
    summary="Claim an enrolment",
)
async def claim(data: JSONBody[Claim], request: Request, api: ApiDependency) -> HostCredentials:  # type: ignore[type-arg]
    """For agents: exchanges an enrolment's token, once, for the key that the host signs with. A host that is there
    already takes an enrolment made for it (409).
    """
    act = Act(_AGENT, client_ip(request), api.clock())
    network = throttled_network(act.ip)
    async with api.attempts.hold((_AGENT, network)):
        async with api.database.first() as connection:
            await refuse_when_throttled(connection, api.enrolment_throttle, Action.ENROLMENT_REFUSED, act, network)
        async with api.database.transaction() as connection:
            outcome = await _claim(api, connection, data, act)
        if isinstance(outcome, ClaimRefusal):
            async with api.database.connection() as connection:
                await act.write(connection, Action.ENROLMENT_REFUSED, data.host_id, reason=outcome)
            raise _refused(outcome)
    return outcome


def _refused(refusal: ClaimRefusal) -> ProblemError:
    match refusal:
        case ClaimRefusal.TOKEN:
            return ProblemError(Kind.ENROLMENT_REFUSED, "The token is unknown, used or expired.")
        case ClaimRefusal.NO_HOST:
            return invalid("host_id", "is needed: the enrolment names no host")
        case ClaimRefusal.OTHER_HOST:
            return ProblemError(Kind.CONFLICT, "The enrolment was made for another host.")
        case ClaimRefusal.TAKEN:
            return ProblemError(Kind.CONFLICT, "re-enrolment needs an enrolment made for this host")


async def _claim(api: Api, connection: Connection, data: Claim, act: Act) -> HostCredentials | ClaimRefusal:
    """The host's new key, or why there is none; nothing is written then."""
    stored = await enrolments.lock(connection, token_hash(data.token))
    enrolment = Claimed(stored.host_id, stored.expires_at, stored.used_at) if stored else None
    host_id = claimed_host(enrolment, data.host_id, act.at)
    if isinstance(host_id, ClaimRefusal) or enrolment is None or stored is None:
        return host_id if isinstance(host_id, ClaimRefusal) else ClaimRefusal.TOKEN
    await hosts.lock_claim(connection, host_id)
    has_keys, has_data = await hosts.has_keys(connection, host_id), await hosts.has_data(connection, host_id)
    if refusal := refuses_host(enrolment, has_keys=has_keys, has_data=has_data):
        return refusal
    key_id = new_key_id()
    await register_hosts(connection, [NewHost(host_id, data.name, data.tags)])
    await hosts.add_key(connection, host_id, key_id, act.at)
    await enrolments.use(connection, stored.id, act.at, host_id)
    await act.write(connection, Action.ENROLMENT_CLAIMED, host_id, enrolment=str(stored.id), key_id=key_id)
    # Last, so that nothing of ours can fail once Kafka has the user.
    access = await api.agent_users.give(connection, key_id)
    master = api.settings.host_key_secret.get_secret_value().encode()
    return HostCredentials(host_id, key_id, base64.b64encode(derive_secret(master, key_id)).decode(), access)


router = Router(
    "/enrolments", route_handlers=[list_enrolments, create_enrolment, delete_enrolment, claim], tags=["enrolments"]
)
