"""The outermost layer: it sees every request and every answer, whatever happens within."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from infrawatch_api.domain.client_address import client_address
from infrawatch_api.domain.inputs import is_request_id
from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.problems import MEDIA_TYPE, Kind, ProblemError, explain
from infrawatch_api.settings import Settings
from infrawatch_common.logs import get_logger

_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
_NO_ROUTE = "(none)"
# A handler's own value wins: pages need a policy under which they work.
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

_log = get_logger(__name__)


@dataclass(slots=True)
class _Answer:
    """What is known of an answer so far."""

    send: Send
    request_id: str
    status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message["headers"])
            present = {name.lower() for name, _ in headers}
            headers += [item for item in _HEADERS if item[0] not in present]
            message["headers"] = [*headers, (b"x-request-id", self.request_id.encode())]
        await self.send(message)


class Outermost:
    """Request id, client address, security headers, metrics, and a problem for what nobody caught."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: ApiMetrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        answer = _Answer(send, _request_id(_header(scope, b"x-request-id")))
        self._describe(scope, answer.request_id)
        with (
            self._metrics.in_flight.track_inprogress(),
            structlog.contextvars.bound_contextvars(request_id=answer.request_id),
        ):
            try:
                await self._answer(scope, receive, answer)
            finally:
                self._observe(scope, answer, time.perf_counter() - started)

    async def _answer(self, scope: HTTPScope, receive: Receive, answer: _Answer) -> None:
        try:
            self._check_host(scope)
            await self._app(scope, receive, answer)
        except Exception as error:
            problem = explain(error)
            if problem.kind is Kind.INTERNAL:
                _log.exception("a request failed")
            if answer.status is not None:
                raise  # too late to say so; the server closes the connection
            await _send_problem(problem, str(scope["path"]), answer)

    def _describe(self, scope: HTTPScope, request_id: str) -> None:
        state: dict[str, Any] = scope.setdefault("state", {})
        peer = scope.get("client")
        forwarded = [value.decode("latin-1") for value in _headers(scope, b"x-forwarded-for")]
        state["request_id"] = request_id
        state["client_address"] = client_address(peer[0] if peer else None, forwarded, self._settings.trusted_proxies)

    def _check_host(self, scope: HTTPScope) -> None:
        allowed = self._settings.allowed_hosts
        host = (_header(scope, b"host") or b"").decode("latin-1").lower()
        name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if allowed and name not in allowed:
            raise ProblemError(Kind.UNKNOWN_HOST, "The request is addressed to a host name that is not served here.")

    def _observe(self, scope: HTTPScope, answer: _Answer, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        template = scope.get("path_template") or _NO_ROUTE
        status = str(answer.status or 500)
        self._metrics.requests.labels(method, template, status).inc()
        self._metrics.request_seconds.labels(method, template).observe(seconds)
        _log.debug("request", method=method, path_template=template, status=status, seconds=round(seconds, 4))


async def _send_problem(problem: ProblemError, path: str, answer: _Answer) -> None:
    body = problem.encode(instance=path, request_id=answer.request_id)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await answer({"type": "http.response.start", "status": problem.status, "headers": headers})
    await answer({"type": "http.response.body", "body": body, "more_body": False})


def _headers(scope: Scope, name: bytes) -> Iterable[bytes]:
    return (value for key, value in scope["headers"] if key.lower() == name)


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next(iter(_headers(scope, name)), None)


def _request_id(offered: bytes | None) -> str:
    text = (offered or b"").decode("latin-1")
    return text if is_request_id(text) else str(uuid.uuid4())
