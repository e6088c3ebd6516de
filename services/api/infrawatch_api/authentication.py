"""Who is asking: bearer tokens from the Authorization header, and from nowhere else.

Tokens are random and looked up on every request, so there is nothing in them to forge, and a logout, a disabled
user or a changed role counts on the very next request.
"""

from datetime import datetime, timedelta
from typing import Any

from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from infrawatch_api.api import Api, Caller
from infrawatch_api.domain.access import Refusal, judge_session, judge_token, use_is_worth_noting
from infrawatch_api.problems import Kind, ProblemError
from infrawatch_api.secrets import TokenKind, token_hash
from infrawatch_api.store import sessions
from infrawatch_common.database import Connection

PUBLIC = "public"
_SCHEME = "bearer"
_LONGEST = 256
_USE_INTERVAL = timedelta(minutes=1)


class BearerAuthentication(AbstractAuthenticationMiddleware):
    """Refuses every request without a valid token, but to routes that are marked as public."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        # By default the parent lets OPTIONS pass.
        super().__init__(app, exclude_from_auth_key=PUBLIC, exclude_http_methods=[])
        self._api = api

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The caller of a request. Raises ``ProblemError`` (401, or 503 when the database is away)."""
        token = _bearer_token(connection.headers.getall("authorization", []))
        if isinstance(token, Refusal):
            raise self._refuse(token)
        async with self._api.database.first() as database:
            outcome = await self._resolve(database, token, self._api.clock())
        if isinstance(outcome, Refusal):
            raise self._refuse(outcome)
        return AuthenticationResult(user=outcome, auth=None)

    async def _resolve(self, database: Connection, token: str, now: datetime) -> Caller | Refusal:
        resolve = sessions.resolve_session if token.startswith(TokenKind.SESSION) else sessions.resolve_token
        bearer = await resolve(database, token_hash(token))
        if bearer is None:
            return Refusal.UNKNOWN
        role = self._judge(bearer, now)
        if isinstance(role, Refusal):
            return role
        if use_is_worth_noting(bearer.used_at, now, _USE_INTERVAL):
            await sessions.note_use(database, bearer, now)
        is_session = bearer.token_role is None
        return Caller(
            user_id=bearer.user_id,
            email=bearer.email,
            role=role,
            expires_at=bearer.expires_at,
            password_change_required=is_session and bearer.owner.one_time_until is not None,
            session_id=bearer.id if is_session else None,
            token_id=None if is_session else bearer.id,
        )

    def _judge(self, bearer: sessions.Bearer, now: datetime) -> Any:
        if bearer.token_role is not None:
            return judge_token(bearer.owner, bearer.token_role, expires_at=bearer.expires_at, now=now)
        return judge_session(
            bearer.owner,
            used_at=bearer.used_at or now,
            expires_at=bearer.expires_at,
            idle=timedelta(seconds=self._api.settings.session_idle_timeout),
            now=now,
        )

    def _refuse(self, reason: Refusal) -> ProblemError:
        self._api.metrics.refused_tokens.labels(reason).inc()
        challenge = "Bearer" if reason is Refusal.MISSING else 'Bearer error="invalid_token"'
        detail = (
            "Send 'Authorization: Bearer TOKEN'."
            if reason in {Refusal.MISSING, Refusal.MALFORMED}
            else "The token is unknown, expired or revoked; log in again."
        )
        return ProblemError(Kind.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})


def _bearer_token(headers: list[str]) -> str | Refusal:
    if not headers:
        return Refusal.MISSING
    scheme, _, token = headers[0].partition(" ")
    is_ours = token.isascii() and token.startswith((TokenKind.SESSION, TokenKind.API)) and len(token) <= _LONGEST
    if len(headers) > 1 or scheme.lower() != _SCHEME or not is_ours:
        return Refusal.MALFORMED
    return token
