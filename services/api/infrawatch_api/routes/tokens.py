"""API tokens: everybody's own."""

from datetime import datetime, timedelta
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, ApiDependency, CallerDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.users import ApiToken, CreatedApiToken, NewApiToken
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import Kind, ProblemError, invalid, not_found
from infrawatch_api.routes.parameters import TokenIdParameter
from infrawatch_api.secrets import TokenKind, new_token, token_hash
from infrawatch_api.store import sessions


@get("/", guards=[requires(Role.VIEWER)], operation_id="listTokens", summary="List one's own API tokens")
async def list_tokens(
    api: ApiDependency, caller: CallerDependency, cursor: Cursor = None, limit: Limit = None
) -> Page[ApiToken]:
    """List one's own API tokens."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await sessions.tokens(connection, caller.user_id, wanted.after, wanted.fetch)
    return wanted.page(found, lambda token: [token.created_at, token.id])


@post(
    "/",
    guards=[requires(Role.VIEWER, session=True)],
    status_code=HTTP_201_CREATED,
    operation_id="createToken",
    summary="Create an API token",
)
async def create_token(
    data: JSONBody[NewApiToken], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> CreatedApiToken:
    """Takes a login: a token cannot make tokens that outlive it. The value is not shown again."""
    if data.expires_in > api.settings.token_lifetime_max:
        raise invalid("expires_in", f"should be at most {api.settings.token_lifetime_max} seconds")
    if not caller.role.allows(data.role):
        raise ProblemError(Kind.FORBIDDEN, f"A token cannot have the role {data.role}; yours is {caller.role}.")
    token = new_token(TokenKind.API)
    expires_at = act.at + timedelta(seconds=data.expires_in)
    async with api.database.transaction() as connection:
        token_id = await sessions.create_token(
            connection, caller.user_id, data.name, data.role, token_hash(token), now=act.at, expires_at=expires_at
        )
        await act.write(connection, Action.TOKEN_CREATED, str(token_id), name=data.name, role=data.role)
    return CreatedApiToken(token_id, token, data.name, data.role, expires_at)


@delete(
    "/{token_id:uuid}",
    guards=[requires(Role.VIEWER)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteToken",
    summary="Revoke one of one's own API tokens",
)
async def delete_token(
    api: ApiDependency, caller: CallerDependency, act: ActDependency, token_id: TokenIdParameter
) -> None:
    """Revoke one of one's own API tokens."""
    async with api.database.transaction() as connection:
        name = await sessions.delete_token(connection, token_id, caller.user_id)
        if name is None:
            raise not_found("token")
        await act.write(connection, Action.TOKEN_DELETED, str(token_id), name=name)


router = Router("/tokens", route_handlers=[list_tokens, create_token, delete_token], tags=["tokens"])
