"""The wiring of the API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp
from prometheus_client import CollectorRegistry

from infrawatch_api.agent_users import AgentUsers
from infrawatch_api.api import Api, Clock, utc_now
from infrawatch_api.authentication import PUBLIC, BearerAuthentication
from infrawatch_api.dependencies import dependencies
from infrawatch_api.domain.passwords import PasswordRules
from infrawatch_api.guards import refuse_unguarded
from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.openapi import openapi_document
from infrawatch_api.outermost import Outermost
from infrawatch_api.passwords import Passwords
from infrawatch_api.previewing import Previews
from infrawatch_api.problems import MEDIA_TYPE, Kind, explain
from infrawatch_api.routing import documented, undocumented
from infrawatch_api.settings import Settings
from infrawatch_api.store.database import Database
from infrawatch_common.logs import get_logger

__all__ = ["create_api", "create_app", "openapi_document"]

_log = get_logger(__name__)


def create_api(settings: Settings, clock: Clock = utc_now) -> Api:
    """The parts of one process; nothing connects yet."""
    metrics = ApiMetrics(CollectorRegistry())
    return Api(
        settings=settings,
        database=Database(settings, metrics),
        passwords=Passwords(settings, metrics),
        password_rules=PasswordRules(settings.password_min_length, settings.password_min_strength),
        metrics=metrics,
        clock=clock,
        agent_users=AgentUsers(settings, metrics),
        previews=Previews(settings, metrics),
    )


def create_app(settings: Settings, clock: Clock = utc_now) -> ASGIApp:
    """The ASGI application; it starts and answers while the database is away."""
    api = create_api(settings, clock)
    litestar = create_litestar(api)
    return Outermost(litestar, settings, api.metrics)


def create_litestar(api: Api) -> Litestar:
    """The application without its outermost layer. Raises ``UnguardedRouteError`` when a route is open by mistake."""
    app = Litestar(
        [*documented(), *undocumented(), _document],
        dependencies=dependencies(api),
        middleware=[DefineMiddleware(BearerAuthentication, api=api)],
        exception_handlers={Exception: _to_problem},
        lifespan=[_lifespan],
        state=State({"api": api}),
        request_max_body_size=api.settings.request_body_max,
        openapi_config=None,
        logging_config=None,
    )
    refuse_unguarded(app)
    return app


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    api: Api = app.state.api
    api.passwords.prepare()
    await api.database.open()
    following = asyncio.create_task(api.agent_users.follow_keys(api.database))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await api.previews.close()
        await api.database.close()
        api.passwords.close()


def _to_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = explain(error)
    if problem.kind is Kind.INTERNAL:
        _log.error("a request failed", exc_info=error)
    body = problem.encode(instance=request.scope["path"], request_id=request.scope["state"]["request_id"])
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers)


@get("/openapi.json", include_in_schema=False, opt={PUBLIC: True}, media_type="application/json")
async def _document() -> bytes:
    return msgspec.json.encode(openapi_document())
