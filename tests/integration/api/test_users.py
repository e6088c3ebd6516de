"""Users and API tokens."""

import asyncio
import json
from typing import Any

import pytest

from stack import eventually

NOBODY = "0193a000-0000-7000-8000-000000000000"


async def user_id(world: Any, email: str) -> str:
    return str(await world.admin.fetchval("SELECT id FROM users WHERE email = $1", email))


async def test_a_new_user_logs_in_with_the_one_time_password(world: Any) -> None:
    admin = await world.signed_in("admin")

    answer = await world.post("/api/v1/users", admin, json={"email": "New@example.org", "role": "viewer"})
    created = answer.json()

    assert answer.status_code == 201
    assert created["user"]["one_time_until"] is not None
    assert (await world.login("new@example.org", created["one_time_password"])).status_code == 200
    assert json.loads((await world.audit("user.created"))[0]["detail"]) == {
        "email": "New@example.org",
        "role": "viewer",
    }
    assert "password" not in (await world.get(f"/api/v1/users/{created['user']['id']}", admin)).text


async def test_an_address_in_use_is_refused_in_any_case(world: Any) -> None:
    admin, taken, other = await world.signed_in("admin"), await world.add_user(), await world.add_user()

    created = await world.post("/api/v1/users", admin, json={"email": taken.upper(), "role": "viewer"})
    changed = await world.call(
        "PATCH", f"/api/v1/users/{await user_id(world, other)}", admin, json={"email": taken.upper()}
    )

    assert (created.status_code, changed.status_code) == (409, 409)


BAD_USERS: list[tuple[dict[str, Any], str]] = [
    ({"email": "a@example.org", "role": "root"}, "role"),
    ({"email": "no address", "role": "viewer"}, "email"),
    ({"email": "a\u0000@example.org", "role": "viewer"}, "email"),
    ({"email": "a@example.org\n", "role": "viewer"}, "email"),
    ({"role": "viewer"}, "email"),
    ({"email": "a@example.org", "role": "viewer", "disabled": False}, "disabled"),
    ({"email": "a@example.org", "role": "viewer", "id": NOBODY}, "id"),
    ({"email": 5, "role": "viewer"}, "email"),
]


async def test_a_bad_user_is_refused_by_field(world: Any) -> None:
    for body, field in BAD_USERS:
        answer = await world.post("/api/v1/users", await world.signed_in("admin"), json=body)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("change", [{"role": "operator"}, {"disabled": True}, {"reset_password": True}])
async def test_role_disabling_and_reset_end_the_sessions(world: Any, change: dict[str, Any]) -> None:
    admin, email = await world.signed_in("admin"), await world.add_user()
    session = await world.session(email)

    answer = await world.call("PATCH", f"/api/v1/users/{await user_id(world, email)}", admin, json=change)

    assert answer.status_code == 200
    assert (await world.get("/api/v1/auth/me", session)).status_code == 401
    assert (answer.json()["one_time_password"] is not None) == ("reset_password" in change)


async def test_another_address_leaves_the_sessions(world: Any) -> None:
    admin, email = await world.signed_in("admin"), await world.add_user()
    session = await world.session(email)

    await world.call("PATCH", f"/api/v1/users/{await user_id(world, email)}", admin, json={"email": "x@example.org"})

    assert (await world.get("/api/v1/auth/me", session)).json()["email"] == "x@example.org"


async def test_a_reset_password_is_void_and_a_one_time_password_takes_its_place(world: Any) -> None:
    admin, email = await world.signed_in("admin"), await world.add_user()

    answer = await world.call(
        "PATCH", f"/api/v1/users/{await user_id(world, email)}", admin, json={"reset_password": True}
    )

    assert (await world.login(email)).status_code == 401
    session = (await world.login(email, answer.json()["one_time_password"])).json()["access_token"]
    assert (await world.get("/api/v1/hosts", session)).status_code == 403


@pytest.mark.parametrize("change", [{"role": "operator"}, {"disabled": True}, None])
async def test_the_last_admin_stays(world: Any, change: dict[str, Any] | None) -> None:
    email = await world.add_user("admin")
    await world.add_user("admin", disabled=True)
    path = f"/api/v1/users/{await user_id(world, email)}"
    session = await world.session(email)

    answer = await world.call("PATCH" if change else "DELETE", path, session, json=change)

    assert answer.status_code == 409
    assert (await world.get("/api/v1/users", session)).status_code == 200


async def test_two_admins_cannot_remove_each_other_at_once(world: Any, database: Any) -> None:
    first, second = await world.add_user("admin"), await world.add_user("admin")
    sessions = {first: await world.session(second), second: await world.session(first)}

    async def waiting() -> bool:
        count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await world.admin.fetchval(count) == 2)

    async with database.admin() as blocker:
        block = blocker.transaction()
        await block.start()
        await blocker.execute("SELECT FROM users FOR UPDATE")
        removals = asyncio.gather(
            *[
                world.call("DELETE", f"/api/v1/users/{await user_id(world, email)}", session)
                for email, session in sessions.items()
            ]
        )
        await eventually(waiting)
        await block.rollback()
        answers = await removals

    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert await world.admin.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_a_deleted_user_is_gone_with_sessions_and_tokens(world: Any) -> None:
    admin, email = await world.signed_in("admin"), await world.add_user()
    session, token = await world.session(email), await world.api_token(email, "viewer")

    answer = await world.call("DELETE", f"/api/v1/users/{await user_id(world, email)}", admin)

    assert answer.status_code == 204
    for credential in (session, token):
        assert (await world.get("/api/v1/auth/me", credential)).status_code == 401


@pytest.mark.parametrize("path", ["users", "tokens", "enrolments"])
@pytest.mark.parametrize("name", [NOBODY, "not-an-id"])
async def test_what_is_not_there_is_a_404(world: Any, path: str, name: str) -> None:
    answer = await world.call("DELETE", f"/api/v1/{path}/{name}", await world.signed_in("admin"))

    assert answer.status_code == 404


async def test_users_come_in_pages(world: Any) -> None:
    admin = await world.signed_in("admin")
    for number in range(7):
        await world.add_user(email=f"User{number}@example.org")

    seen, cursor = [], None
    while True:
        query = {"limit": "3", **({"cursor": cursor} if cursor else {})}
        page = (await world.get("/api/v1/users", admin, params=query)).json()
        seen += [user["email"] for user in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert seen == sorted(seen, key=str.lower)
    assert len(seen) == len(set(seen)) == 8


async def test_an_api_token_works_until_it_is_revoked(world: Any) -> None:
    session = await world.signed_in("operator")

    created = await world.post("/api/v1/tokens", session, json={"name": "ci", "role": "viewer", "expires_in": 60})
    token = created.json()["token"]

    assert created.status_code == 201
    me = (await world.get("/api/v1/auth/me", token)).json()
    assert (me["role"], me["token_id"]) == ("viewer", created.json()["id"])
    listed = (await world.get("/api/v1/tokens", token)).json()["items"]
    assert [(item["name"], item["role"]) for item in listed] == [("ci", "viewer")]
    assert "token" not in listed[0]

    assert (await world.call("DELETE", f"/api/v1/tokens/{created.json()['id']}", session)).status_code == 204
    assert (await world.get("/api/v1/auth/me", token)).status_code == 401


async def test_an_api_token_expires(world: Any) -> None:
    session = await world.signed_in("viewer")
    body = {"name": "ci", "role": "viewer", "expires_in": 60}
    token = (await world.post("/api/v1/tokens", session, json=body)).json()["token"]

    world.clock.advance(60)

    assert (await world.get("/api/v1/auth/me", token)).status_code == 401


async def test_nobody_gives_a_token_more_than_the_own_role(world: Any) -> None:
    body = {"name": "ci", "role": "admin", "expires_in": 60}

    assert (await world.post("/api/v1/tokens", await world.signed_in("operator"), json=body)).status_code == 403


BAD_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({"expires_in": 31_536_001}, "expires_in"),
    ({"expires_in": 0}, "expires_in"),
    ({"expires_in": "60"}, "expires_in"),
    ({"expires_in": True}, "expires_in"),
    ({"name": ""}, "name"),
    ({"user_id": NOBODY}, "user_id"),
]


async def test_a_bad_token_is_refused_by_field(world: Any) -> None:
    for change, field in BAD_TOKENS:
        body = {"name": "ci", "role": "viewer", "expires_in": 60, **change}

        answer = await world.post("/api/v1/tokens", await world.signed_in("viewer"), json=body)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_tokens_of_others_are_neither_shown_nor_deleted(world: Any) -> None:
    owner = await world.add_user("admin")
    await world.api_token(owner, "admin")
    token_id = await world.admin.fetchval("SELECT id FROM api_tokens")
    other = await world.signed_in("admin")

    assert (await world.get("/api/v1/tokens", other)).json()["items"] == []
    assert (await world.call("DELETE", f"/api/v1/tokens/{token_id}", other)).status_code == 404
