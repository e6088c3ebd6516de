"""Commands of an operator who has the database's password: the first admin, tokens, enrolments."""

import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from infrawatch_api.api import Api
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.users import needs_first_admin
from infrawatch_api.problems import ProblemError
from infrawatch_api.secrets import TokenKind, new_one_time_password, new_token, token_hash
from infrawatch_api.store import audit, enrolments, sessions, users

ACTOR = "command line"

Answer = dict[str, Any]
Command = Callable[[Api], Awaitable[Answer]]


class CommandError(Exception):
    """A command cannot do what it is asked to; the message is for the operator."""


async def run(api: Api, command: Command) -> int:
    """Run a command: its answer as one JSON object on stdout, or one sentence on stderr and exit code 1."""
    await api.database.open()
    try:
        answer = await command(api)
    except (CommandError, ProblemError) as error:
        sys.stderr.write(f"infrawatch: {error}\n")
        return 1
    finally:
        await api.database.close()
        api.passwords.close()
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


async def create_admin(api: Api, email: str) -> Answer:
    """Make the first admin, with a one-time password; nothing happens when an admin is there who can log in.

    An admin whose one-time password ran out unused gets a new one in this way.
    """
    now = api.clock()
    password = new_one_time_password()
    hashed = await api.passwords.hash(password)
    until = now + timedelta(seconds=api.settings.one_time_password_lifetime)
    async with api.database.transaction() as connection:
        await users.lock_first_admin(connection)
        admins = await users.lock_admins(connection)
        if not needs_first_admin([users.owner_of(admin) for admin in admins], now):
            return {"created": False}
        known = next((admin for admin in admins if admin.email.lower() == email.lower()), None)
        if known is not None and not known.disabled:
            await users.set_one_time_password(connection, known.id, hashed, until)
            user_id, action = known.id, Action.USER_CHANGED
        else:
            try:
                user = await users.insert(connection, email, Role.ADMIN, hashed, now=now, one_time_until=until)
            except users.EmailTakenError as error:
                msg = f"{email} is a user already, but not an administrator who can log in; name another address"
                raise CommandError(msg) from error
            user_id, action = user.id, Action.USER_CREATED
        await audit.write(
            connection, action, at=now, actor=ACTOR, ip=None, target=str(user_id), detail={"email": email}
        )
    return {"created": True, "email": email, "password": password, "expires_at": until}


async def create_token(api: Api, email: str, role: Role, expires_in: int, name: str) -> Answer:
    """Make an API token for a user."""
    _check_lifetime(expires_in, api.settings.token_lifetime_max)
    now = api.clock()
    token = new_token(TokenKind.API)
    expires_at = now + timedelta(seconds=expires_in)
    async with api.database.transaction() as connection:
        account = await users.by_email(connection, email)
        if account is None:
            msg = f"there is no user {email}"
            raise CommandError(msg)
        token_id = await sessions.create_token(
            connection, account.user.id, name, role, token_hash(token), now=now, expires_at=expires_at
        )
        detail = {"email": email, "name": name, "role": role}
        await audit.write(
            connection, Action.TOKEN_CREATED, at=now, actor=ACTOR, ip=None, target=str(token_id), detail=detail
        )
    return {"id": token_id, "token": token, "expires_at": expires_at}


async def create_enrolment(api: Api, expires_in: int, host_id: str | None, output: Path | None = None) -> Answer:
    """Make an enrolment; its token goes into the answer, or else into the file ``output``, mode 0600."""
    _check_lifetime(expires_in, api.settings.enrolment_lifetime_max)
    now = api.clock()
    token = new_token(TokenKind.ENROLMENT)
    expires_at = now + timedelta(seconds=expires_in)
    async with api.database.transaction() as connection:
        enrolment_id = await enrolments.create(
            connection, token_hash(token), host_id, ACTOR, now=now, expires_at=expires_at
        )
        detail = {"host_id": host_id}
        await audit.write(
            connection, Action.ENROLMENT_CREATED, at=now, actor=ACTOR, ip=None, target=str(enrolment_id), detail=detail
        )
        if output is not None:
            _write_private(output, token)
    told = {"token": token} if output is None else {"output": str(output)}
    return {"id": enrolment_id, **told, "expires_at": expires_at}


def _write_private(path: Path, text: str) -> None:
    try:
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise CommandError(msg) from error


def _check_lifetime(seconds: int, most: int) -> None:
    if not 1 <= seconds <= most:
        msg = f"--expires-in must be between 1 and {most} seconds"
        raise CommandError(msg)
