"""Who may do what. A route without a guard is public or a mistake, and a mistake does not start."""

from typing import Any, NoReturn

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from infrawatch_api.api import Act, Api, Caller, client_ip
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.roles import Role
from infrawatch_api.problems import Kind, ProblemError

Asking = ASGIConnection[Any, Caller, Any, Any]


class _Requires:
    def __init__(self, role: Role, *, one_time: bool, session: bool) -> None:
        self._role = role
        self._one_time = one_time
        self._session = session

    async def __call__(self, connection: Asking, _handler: BaseRouteHandler) -> None:
        caller = connection.user
        if caller.password_change_required and not self._one_time:
            raise ProblemError(Kind.PASSWORD_CHANGE_REQUIRED, "Change it by POST /api/v1/auth/password.")
        if self._session and caller.session_id is None:
            await _deny(connection, "This takes a login; an API token does not suffice.")
        await authorize(connection, self._role)


async def authorize(connection: Asking, role: Role) -> None:
    """Let a role and all above it pass, for what a guard cannot see. Raises ``ProblemError`` (403)."""
    if not connection.user.role.allows(role):
        await _deny(connection, f"This takes the role {role}; yours is {connection.user.role}.")


async def _deny(connection: Asking, detail: str) -> NoReturn:
    api: Api = connection.app.state.api
    act = Act(connection.user.email, client_ip(connection), api.clock())
    target = f"{connection.scope['method']} {connection.scope['path_template']}"  # type: ignore[typeddict-item]
    async with api.database.connection() as database:
        await act.write(database, Action.DENIED, target)
    raise ProblemError(Kind.FORBIDDEN, detail)


def requires(role: Role, *, session: bool = False) -> Guard:
    """A guard that lets a role and all above it pass; with ``session`` only people who logged in, no API tokens."""
    return _Requires(role, one_time=False, session=session)


def signed_in(*, session: bool = False) -> Guard:
    """A guard that lets everybody pass who is signed in, even with a one-time password that is still to be changed."""
    return _Requires(Role.VIEWER, one_time=True, session=session)


class UnguardedRouteError(Exception):
    """A route says neither who may use it nor that everybody may."""


def refuse_unguarded(app: Litestar) -> None:
    """Raise ``UnguardedRouteError`` unless every route has a guard of this module or is marked as public."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if not _is_automatic(handler) and not handler.opt.get(PUBLIC) and not _has_guard(handler):
                msg = f"{route.path} ({handler.handler_name}) has no guard and is not public"
                raise UnguardedRouteError(msg)


def _is_automatic(handler: HTTPRouteHandler) -> bool:
    # Litestar's own answer to OPTIONS: a token is needed, and it tells no more than the methods.
    return handler.http_methods == {"OPTIONS"}


def _has_guard(handler: HTTPRouteHandler) -> bool:
    guards: Any = handler.resolve_guards()
    return any(isinstance(getattr(guard, "func", guard), _Requires) for guard in guards)
