"""The shipped entry point, as a process of its own."""

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from records import MASTER_SECRET
from stack import eventually


def environment(database: Any, **settings: object) -> dict[str, str]:
    return {
        **database.environment("api"),
        "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET,
        "INFRAWATCH_ARGON2_MEMORY_COST": "19456",
        "INFRAWATCH_ARGON2_TIME_COST": "2",
        **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
    }


async def command(variables: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infrawatch_api", *arguments, env=variables, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def answer_of(variables: dict[str, str], *arguments: str) -> dict[str, Any]:
    code, out, err = await command(variables, *arguments)
    assert code == 0, err
    assert out.count("\n") == 1
    return dict(json.loads(out))


async def test_from_the_first_admin_to_the_first_request(database: Any, service: Callable[..., Any]) -> None:
    variables = environment(database)
    admin = await answer_of(variables, "create-admin", "--email", "admin@example.org")
    token = await answer_of(
        variables, "create-token", "--email", "admin@example.org", "--role", "viewer", "--expires-in", "60"
    )
    enrolment = await answer_of(variables, "create-enrolment", "--expires-in", "60", "--host-id", "web-1")
    assert set(admin) == {"created", "email", "password", "expires_at"}
    assert set(token) == set(enrolment) == {"id", "token", "expires_at"}
    running = service("api", variables, "serve").start()

    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as http:
        login = {"email": "admin@example.org", "password": admin["password"]}
        async with http.post("/api/v1/auth/login", json=login) as answer:
            session = await answer.json()
            assert answer.status == 200
        change = {"current_password": admin["password"], "new_password": "cucumbers eat no horse"}
        bearer = {"Authorization": f"Bearer {session['access_token']}"}
        async with http.post("/api/v1/auth/password", json=change, headers=bearer) as answer:
            assert answer.status == 204
        async with http.post("/api/v1/enrolments/claim", json={"token": enrolment["token"]}) as answer:
            assert (await answer.json())["host_id"] == "web-1"
        async with http.get("/api/v1/hosts", headers={"Authorization": f"Bearer {token['token']}"}) as answer:
            assert [host["id"] for host in (await answer.json())["items"]] == ["web-1"]
        async with http.get("/api/v1/audit-log", headers=bearer) as answer:
            entries = (await answer.json())["items"]
    by_command = {entry["action"] for entry in entries if entry["actor"] == "command line"}
    assert by_command == {"user.created", "token.created", "enrolment.created"}
    assert {entry["ip"] for entry in entries} == {None, "127.0.0.1"}
    assert running.stop() == 0
    for line in running.log.read_text().splitlines():
        assert set(json.loads(line)) >= {"time", "level", "message", "service"}


async def test_create_admin_does_nothing_when_an_admin_can_log_in(database: Any) -> None:
    variables = environment(database)
    assert (await answer_of(variables, "create-admin", "--email", "a@example.org"))["created"] is True

    assert await answer_of(variables, "create-admin", "--email", "a@example.org") == {"created": False}
    assert await answer_of(variables, "create-admin", "--email", "b@example.org") == {"created": False}


async def test_create_admin_renews_a_one_time_password_that_ran_out(database: Any) -> None:
    variables = environment(database)
    first = await answer_of(variables, "create-admin", "--email", "a@example.org")
    async with database.admin() as connection:
        await connection.execute("UPDATE users SET one_time_until = now() - interval '1 second'")

    second = await answer_of(variables, "create-admin", "--email", "a@example.org")

    assert second["created"] is True
    assert second["password"] != first["password"]


async def test_several_first_admins_at_once_are_one(database: Any) -> None:
    variables = environment(database)

    answers = await asyncio.gather(
        *(answer_of(variables, "create-admin", "--email", f"{name}@example.org") for name in "abc")
    )

    assert sorted(answer["created"] for answer in answers) == [False, False, True]


async def test_a_command_that_cannot_be_done_says_so_in_one_sentence(database: Any) -> None:
    away = {**environment(database), "INFRAWATCH_DATABASE_URL": "postgresql://infrawatch_api@127.0.0.1:1/x"}
    token = ("create-token", "--email", "nobody@example.org", "--role", "viewer", "--expires-in")

    for variables, arguments, says in (
        (environment(database), (*token, "60"), "there is no user nobody@example.org"),
        (environment(database), (*token, "0"), "--expires-in must be between"),
        (away, (*token, "60"), "The database does not answer"),
        (away, ("create-admin", "--email", "a@example.org"), "The database does not answer"),
    ):
        code, out, err = await command(variables, *arguments)
        sentences = [line for line in err.splitlines() if not line.startswith("{")]
        assert (code, out) == (1, "")
        assert len(sentences) == 1
        assert says in sentences[0]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("create-admin",),
        ("create-admin", "--email", "no address"),
        ("create-enrolment", "--expires-in", "soon"),
        ("create-enrolment", "--expires-in", "60", "--host-id", "a b"),
        ("unknown",),
    ],
)
async def test_bad_arguments_end_with_code_2(database: Any, arguments: tuple[str, ...]) -> None:
    code, out, err = await command(environment(database), *arguments)

    assert (code, out) == (2, "")
    assert "usage" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRUSTED_PROXIES", "10.0.0.0/33"), ("SESSION_IDLE_TIMEOUT", "90000"), ("DATABASE_WAIT", "9"), ("HTTP_PORT", "x")],
)
async def test_a_bad_setting_is_one_sentence_with_code_2(database: Any, name: str, value: str) -> None:
    code, out, err = await command({**environment(database), f"INFRAWATCH_{name}": value}, "serve")

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert f"INFRAWATCH_{name}" in err


async def test_a_port_in_use_is_said_with_code_1(database: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = await command(environment(database, http_port=port), "serve")

    assert code == 1
    assert f"port {port}" in err
    assert "INFRAWATCH_HTTP_PORT" in err


async def test_a_second_server_does_not_share_the_port(database: Any, service: Callable[..., Any]) -> None:
    running = service("api", environment(database), "serve").start()

    code, _, err = await command(environment(database, http_port=running.port), "serve")

    assert code == 1
    assert "something else uses it" in err


async def waits_for_lock(connection: Any) -> bool:
    return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def says(running: Any, message: str) -> bool:
    return f'"message": "{message}"' in running.log.read_text()


async def test_requests_in_hand_are_answered_before_the_end(database: Any, service: Callable[..., Any]) -> None:
    variables = environment(database)
    await answer_of(variables, "create-admin", "--email", "a@example.org")
    made = await answer_of(
        variables, "create-token", "--email", "a@example.org", "--role", "admin", "--expires-in", "60"
    )
    running = service("api", variables, "serve").start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as http, database.admin() as connection:
        blocking = connection.transaction()
        await blocking.start()
        await connection.execute("LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(http.get("/api/v1/hosts", headers={"Authorization": f"Bearer {made['token']}"}))
        await eventually(lambda: waits_for_lock(connection))

        stopping = asyncio.create_task(asyncio.to_thread(running.stop))
        await eventually(lambda: says(running, "stopping"))
        await blocking.rollback()

        assert (await asking).status == 200
        assert await stopping == 0
