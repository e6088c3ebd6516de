"""Users, for administrators."""

from datetime import datetime, timedelta
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.users import NewUser, User, UserChange, UserWithPassword
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.users import ends_sessions, loses_last_admin
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, not_found
from infrawatch_api.routes.parameters import UserIdParameter
from infrawatch_api.secrets import new_one_time_password
from infrawatch_api.store import sessions, users
from infrawatch_common.database import Connection

_EMAIL_TAKEN = "Another user has this email address."
_LAST_ADMIN = "This is the last administrator who is not disabled; make another one first."


@get("/", guards=[requires(Role.ADMIN)], operation_id="listUsers", summary="List users")
async def list_users(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[User]:
    """List users."""
    wanted = paging(cursor, limit, [str], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await users.page(connection, wanted.after_text, wanted.fetch)
    return wanted.page(found, lambda user: [user.email.lower()])


@post(
    "/",
    guards=[requires(Role.ADMIN)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createUser",
    summary="Create a user",
)
async def create_user(data: JSONBody[NewUser], api: ApiDependency, act: ActDependency) -> UserWithPassword:
    """Answers with a one-time password, which is not shown again."""
    password = new_one_time_password()
    hashed = await api.passwords.hash(password)
    async with api.database.transaction() as connection:
        try:
            user = await users.insert(
                connection, data.email, data.role, hashed, now=act.at, one_time_until=_one_time_until(api, act.at)
            )
        except users.EmailTakenError as error:
            raise ProblemError(Kind.CONFLICT, _EMAIL_TAKEN) from error
        await act.write(connection, Action.USER_CREATED, str(user.id), email=user.email, role=user.role)
    return UserWithPassword(user, password)


@get("/{user_id:uuid}", guards=[requires(Role.ADMIN)], operation_id="getUser", summary="Get a user")
async def get_user(api: ApiDependency, user_id: UserIdParameter) -> User:
    """Get a user."""
    async with api.database.connection() as connection:
        account = await users.by_id(connection, user_id)
    if account is None:
        raise not_found("user")
    return account.user


@patch(
    "/{user_id:uuid}",
    guards=[requires(Role.ADMIN)],
    opt={PROBLEMS: [409]},
    operation_id="changeUser",
    summary="Change a user",
)
async def change_user(
    data: JSONBody[UserChange],
    api: ApiDependency,
    caller: CallerDependency,
    act: ActDependency,
    user_id: UserIdParameter,
) -> UserWithPassword:
    """A new role, disabling, and a reset password end the user's sessions. A new one-time password is shown in this
    answer and not again.
    """
    password = new_one_time_password() if data.reset_password else None
    hashed = await api.passwords.hash(password) if password else None
    async with api.database.transaction() as connection:
        before, after = await _change(connection, user_id, data)
        if hashed is not None:
            await users.set_one_time_password(connection, user_id, hashed, _one_time_until(api, act.at))
        if ends_sessions(users.owner_of(before), users.owner_of(after), password_reset=data.reset_password):
            keep = caller.session_id if not data.reset_password else None
            await sessions.close_sessions(connection, user_id, keep=keep)
        await act.write(connection, Action.USER_CHANGED, str(user_id), **data.model_dump(exclude_none=True))
        account = await users.by_id(connection, user_id)
    assert account is not None, "the user is locked"
    return UserWithPassword(account.user, password)


async def _change(connection: Connection, user_id: UUID, data: UserChange) -> tuple[User, User]:
    admins = await users.lock_admins(connection)
    account = await users.lock(connection, user_id)
    if account is None:
        raise not_found("user")
    before = account.user
    role = data.role or before.role
    disabled = before.disabled if data.disabled is None else data.disabled
    if loses_last_admin(user_id, users.enabled(admins), role=role, disabled=disabled):
        raise ProblemError(Kind.CONFLICT, _LAST_ADMIN)
    try:
        return before, await users.update(connection, user_id, data.email or before.email, role, disabled=disabled)
    except users.EmailTakenError as error:
        raise ProblemError(Kind.CONFLICT, _EMAIL_TAKEN) from error


@delete(
    "/{user_id:uuid}",
    guards=[requires(Role.ADMIN)],
    status_code=HTTP_204_NO_CONTENT,
    opt={PROBLEMS: [409]},
    operation_id="deleteUser",
    summary="Delete a user",
)
async def delete_user(api: ApiDependency, act: ActDependency, user_id: UserIdParameter) -> None:
    """Sessions and API tokens of the user go too; what the user made stays."""
    async with api.database.transaction() as connection:
        admins = await users.lock_admins(connection)
        account = await users.lock(connection, user_id)
        if account is None:
            raise not_found("user")
        if loses_last_admin(user_id, users.enabled(admins), role=None, disabled=None):
            raise ProblemError(Kind.CONFLICT, _LAST_ADMIN)
        await users.delete(connection, user_id)
        await act.write(connection, Action.USER_DELETED, str(user_id), email=account.user.email)


def _one_time_until(api: Api, now: datetime) -> datetime:
    return now + timedelta(seconds=api.settings.one_time_password_lifetime)


router = Router("/users", route_handlers=[list_users, create_user, get_user, change_user, delete_user], tags=["users"])
