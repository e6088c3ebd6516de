"""Logging in and out."""

from datetime import timedelta

from litestar import Request, Router, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from infrawatch_api.api import Act, ActDependency, Api, ApiDependency, CallerDependency, client_ip
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.contract.auth import Login, Me, PasswordChange, Session
from infrawatch_api.domain.access import may_log_in
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.throttle import throttled_network
from infrawatch_api.guards import signed_in
from infrawatch_api.metrics import LoginOutcome
from infrawatch_api.passwords import Verdict, strength
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid
from infrawatch_api.routes.throttling import refuse_when_throttled
from infrawatch_api.secrets import TokenKind, new_token, token_hash
from infrawatch_api.store import sessions, users
from infrawatch_api.store.users import Account

_LOGIN_FAILED = "Check both, or ask an administrator."


@post(
    "/login",
    status_code=HTTP_200_OK,
    opt={PUBLIC: True, PROBLEMS: [401, 429]},
    operation_id="login",
    summary="Log in",
)
async def login(data: JSONBody[Login], request: Request, api: ApiDependency) -> Session:  # type: ignore[type-arg]
    """Opens a session. Repeated failures for one account from one address have to wait (429)."""
    act = Act(data.email, client_ip(request), api.clock())
    network = throttled_network(act.ip)
    async with api.attempts.hold((data.email.lower(), network)):
        account = await _find(api, act, network, Action.LOGIN_FAILED)
        verdict = await api.passwords.verify(account.password if account else None, data.password)
        if account is None or not verdict.right or not may_log_in(account.owner, act.at):
            await _note_failure(api, act, Action.LOGIN_FAILED)
            api.metrics.logins.labels(LoginOutcome.FAILED).inc()
            raise ProblemError(Kind.LOGIN_FAILED, _LOGIN_FAILED)
        return await _open(api, act, account, verdict, data.password)


async def _find(api: Api, act: Act, network: str, failure: Action) -> Account | None:
    async with api.database.first() as connection:
        try:
            await refuse_when_throttled(connection, api.login_throttle, failure, act, network)
        except ProblemError:
            api.metrics.logins.labels(LoginOutcome.THROTTLED).inc()
            raise
        return await users.by_email(connection, act.actor)


async def _note_failure(api: Api, act: Act, action: Action) -> None:
    async with api.database.connection() as connection:
        await act.write(connection, action)


async def _open(api: Api, act: Act, account: Account, verdict: Verdict, password: str) -> Session:
    rehashed = await api.passwords.hash(password) if verdict.outdated else None
    token = new_token(TokenKind.SESSION)
    lifetime = api.settings.session_lifetime
    async with api.database.transaction() as connection:
        present = await users.lock(connection, account.user.id)
        if present is None or present.password != account.password:  # changed while this login was being judged
            raise ProblemError(Kind.LOGIN_FAILED, _LOGIN_FAILED)
        if rehashed is not None:
            await users.replace_hash(connection, account.user.id, rehashed)
        await sessions.open_session(
            connection,
            account.user.id,
            token_hash(token),
            now=act.at,
            expires_at=act.at + timedelta(seconds=lifetime),
        )
        await act.write(connection, Action.LOGIN)
    api.metrics.logins.labels(LoginOutcome.OPENED).inc()
    return Session(access_token=token, expires_in=lifetime)


@post(
    "/logout",
    guards=[signed_in(session=True)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="logout",
    summary="Log out",
)
async def logout(api: ApiDependency, caller: CallerDependency, act: ActDependency) -> None:
    """Ends the session at once."""
    async with api.database.transaction() as connection:
        if caller.session_id is not None:
            await sessions.close_session(connection, caller.session_id)
        await act.write(connection, Action.LOGOUT)


@post(
    "/password",
    guards=[signed_in(session=True)],
    status_code=HTTP_204_NO_CONTENT,
    opt={PROBLEMS: [409, 429]},
    operation_id="changePassword",
    summary="Change one's own password",
)
async def change_password(
    data: JSONBody[PasswordChange], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> None:
    """Ends all other sessions of the user. API tokens stay."""
    async with api.attempts.hold((caller.email.lower(), "password")):
        account = await _find(api, act, throttled_network(act.ip), Action.PASSWORD_REFUSED)
        verdict = await api.passwords.verify(account.password if account else None, data.current_password)
        if account is None or not verdict.right:
            await _note_failure(api, act, Action.PASSWORD_REFUSED)
            raise invalid("current_password", "is not the present password")
        if objection := api.password_rules.objection(data.new_password, strength(data.new_password, caller.email)):
            raise invalid("new_password", objection)
        if data.new_password == data.current_password:
            raise invalid("new_password", "should be another one than before")
        hashed = await api.passwords.hash(data.new_password)
        async with api.database.transaction() as connection:
            if not await users.change_password(connection, caller.user_id, account.password, hashed):
                raise ProblemError(Kind.CONFLICT, "The password was changed by somebody else meanwhile.")
            await sessions.close_sessions(connection, caller.user_id, keep=caller.session_id)
            await act.write(connection, Action.PASSWORD_CHANGED)


@get("/me", guards=[signed_in()], operation_id="getMe", summary="Who one is")
async def me(caller: CallerDependency) -> Me:
    """Who one is."""
    return Me(
        id=caller.user_id,
        email=caller.email,
        role=caller.role,
        password_change_required=caller.password_change_required,
        token_id=caller.token_id,
        expires_at=caller.expires_at,
    )


router = Router("/auth", route_handlers=[login, logout, change_password, me], tags=["auth"])
