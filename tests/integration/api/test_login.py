"""Logging in and out, passwords, and what happens to those who guess."""

import asyncio
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher

from infrawatch_api.secrets import token_hash

PASSWORD = "horses eat cucumber salad"
NEW_PASSWORD = "cucumbers eat no horse"


async def test_login_opens_a_session(world: Any) -> None:
    email = await world.add_user("operator")

    answer = await world.login(email.upper())
    session = answer.json()

    assert answer.status_code == 200
    assert session == {"access_token": session["access_token"], "token_type": "bearer", "expires_in": 86_400}
    me = (await world.get("/api/v1/auth/me", session["access_token"])).json()
    assert (me["email"], me["role"], me["password_change_required"]) == (email, "operator", False)
    assert [row["actor"] for row in await world.audit("login")] == [email.upper()]


async def test_only_the_hash_of_a_token_is_stored(world: Any) -> None:
    token = (await world.login(await world.add_user())).json()["access_token"]

    assert await world.admin.fetchval("SELECT token_hash FROM sessions") == token_hash(token)
    assert token.startswith("iws_")
    assert len(token) == 4 + 43


async def test_unknown_user_wrong_password_and_disabled_user_are_answered_alike(world: Any) -> None:
    email, disabled = await world.add_user(), await world.add_user(disabled=True)
    expired = await world.add_user(one_time_until=world.clock.now)

    answers = [
        await world.login("nobody@example.org"),
        await world.login(email, "not this one"),
        await world.login(disabled),
        await world.login(expired),
    ]

    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert bodies == [bodies[0]] * 4
    assert len(await world.audit("login.failed")) == 4


async def difference(world: Any, known: str, tries: int) -> float:
    """By which part the median time for an unknown user differs from that for a wrong password."""
    seconds: dict[str, list[float]] = {known: [], "nobody@example.org": []}
    for number in range(tries):
        for name in sorted(seconds, reverse=bool(number % 2)):
            started = time.perf_counter()
            await world.login(name, "wrong")
            seconds[name].append(time.perf_counter() - started)
    wrong, unknown = (statistics.median(measured) for measured in seconds.values())
    return abs(wrong - unknown) / wrong


async def test_unknown_user_and_wrong_password_take_the_same_time(make_world: Callable[..., Any]) -> None:
    world = await make_world(login_failures=1000)
    email = await world.add_user()

    # The noise of a busy machine comes and goes; a difference in the work would be there in every round.
    for _ in range(5):
        if (seen := await difference(world, email, 40)) < 0.05:
            break

    assert seen < 0.05


async def test_failures_make_further_logins_wait_and_then_pass(world: Any) -> None:
    email = await world.add_user()
    for _ in range(5):
        assert (await world.login(email, "wrong")).status_code == 401
        world.clock.advance(10)

    answer = await world.login(email)
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:infrawatch:problem:too-many-requests"
    assert answer.headers["retry-after"] == str(900 - 50)

    assert (await world.login(email, ip="198.51.100.8")).status_code == 200
    assert (await world.login(await world.add_user())).status_code == 200

    world.clock.advance(850)
    assert (await world.login(email)).status_code == 200


async def test_many_attempts_at_once_are_not_judged_by_the_failures_before_them(world: Any) -> None:
    email = await world.add_user()

    answers = await asyncio.gather(*(world.login(email, f"guess {number}") for number in range(30)))

    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 25


async def test_a_made_up_forwarded_address_does_not_evade_the_throttle(world: Any) -> None:
    email = await world.add_user()

    for number in range(5):
        await world.login(email, "wrong", headers={"X-Forwarded-For": f"203.0.113.{number}"})

    assert (await world.login(email, headers={"X-Forwarded-For": "203.0.113.99"})).status_code == 429


async def test_addresses_of_one_ipv6_site_count_together(world: Any) -> None:
    email = await world.add_user()

    for number in range(5):
        await world.login(email, "wrong", ip=f"2001:db8:0:1::{number}")

    assert (await world.login(email, ip="2001:db8:0:1::99")).status_code == 429
    assert (await world.login(email, ip="2001:db8:0:2::1")).status_code == 200


async def test_a_trusted_proxy_says_who_is_behind_it(make_world: Callable[..., Any]) -> None:
    world = await make_world(trusted_proxies="198.51.100.0/24")
    email = await world.add_user()

    for _ in range(5):
        await world.login(email, "wrong", headers={"X-Forwarded-For": "192.0.2.66, 203.0.113.1"})

    assert {row["ip"] for row in await world.audit("login.failed")} == {"203.0.113.1"}
    assert (await world.login(email, headers={"X-Forwarded-For": "203.0.113.2"})).status_code == 200


async def test_logout_ends_the_session_at_once(world: Any) -> None:
    token = await world.session(await world.add_user())

    assert (await world.post("/api/v1/auth/logout", token)).status_code == 204
    assert (await world.get("/api/v1/auth/me", token)).status_code == 401


async def change(world: Any, token: str, new: str, current: str = PASSWORD) -> Any:
    return await world.post("/api/v1/auth/password", token, json={"current_password": current, "new_password": new})


async def test_a_password_change_ends_all_other_sessions(world: Any) -> None:
    email = await world.add_user()
    mine, other = await world.session(email), await world.session(email)

    assert (await change(world, mine, NEW_PASSWORD)).status_code == 204

    assert (await world.get("/api/v1/auth/me", mine)).status_code == 200
    assert (await world.get("/api/v1/auth/me", other)).status_code == 401
    assert (await world.login(email)).status_code == 401
    assert (await world.login(email, NEW_PASSWORD)).status_code == 200


BAD_PASSWORDS: list[tuple[str, str]] = [
    ("short", "at least 12"),
    ("password1234", "common"),
    (PASSWORD, "another one"),
    ("x" * 257, "at most 256"),
]


async def test_a_bad_new_password_is_refused_with_the_reason(world: Any) -> None:
    for new, says in BAD_PASSWORDS:
        token = await world.session(await world.add_user())

        answer = await change(world, token, new)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "new_password"
        assert says in answer.json()["errors"][0]["message"]


async def test_the_present_password_cannot_be_guessed_by_who_stole_a_session(world: Any) -> None:
    token = await world.session(await world.add_user())

    answers = [await change(world, token, NEW_PASSWORD, f"guess {number}") for number in range(6)]

    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[0].json()["errors"][0]["field"] == "current_password"


async def test_an_api_token_cannot_change_the_password(world: Any) -> None:
    token = await world.api_token(await world.add_user("admin"), "admin")

    assert (await change(world, token, NEW_PASSWORD)).status_code == 403


async def test_with_a_one_time_password_nothing_works_until_it_is_changed(world: Any) -> None:
    email = await world.add_user("admin", one_time_until=world.clock.now + timedelta(hours=1))
    token = (await world.login(email)).json()["access_token"]

    me = (await world.get("/api/v1/auth/me", token)).json()
    refused = await world.get("/api/v1/hosts", token)
    assert me["password_change_required"] is True
    assert refused.status_code == 403
    assert refused.json()["type"].endswith("password-change-required")

    assert (await change(world, token, NEW_PASSWORD)).status_code == 204
    assert (await world.get("/api/v1/hosts", token)).status_code == 200
    assert (await world.login(email)).status_code == 401


async def test_a_one_time_password_and_its_session_end_with_its_time(world: Any) -> None:
    email = await world.add_user(one_time_until=world.clock.now + timedelta(minutes=10))
    token = (await world.login(email)).json()["access_token"]

    world.clock.advance(600)

    assert (await change(world, token, NEW_PASSWORD)).status_code == 401
    assert (await world.login(email)).status_code == 401


async def stored_hash(world: Any) -> str:
    return str(await world.admin.fetchval("SELECT password FROM users"))


@pytest.mark.parametrize("prefix", ["2a", "2b", "2y"])
async def test_a_bcrypt_hash_verifies_once_and_is_made_anew(world: Any, prefix: str) -> None:
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", f"${prefix}$")
    email = await world.add_user(password=old)

    assert (await world.login(email, "wrong")).status_code == 401
    assert await stored_hash(world) == old
    assert (await world.login(email)).status_code == 200
    assert (await stored_hash(world)).startswith("$argon2id$")
    assert (await world.login(email)).status_code == 200


async def test_a_hash_with_other_parameters_is_made_anew(world: Any) -> None:
    email = await world.add_user(password=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))

    await world.login(email)
    assert "m=19456,t=2,p=1" in (renewed := await stored_hash(world))

    await world.login(email)
    assert await stored_hash(world) == renewed


async def test_a_flood_of_logins_is_turned_away(make_world: Callable[..., Any]) -> None:
    world = await make_world(password_queue_max=4)

    answers = await asyncio.gather(*(world.login(f"user{number}@example.org") for number in range(20)))

    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {401, 503}
    assert statuses.count(401) >= 4


async def test_the_metrics_count_logins_by_outcome(world: Any) -> None:
    email = await world.add_user()
    await world.login(email)
    for _ in range(6):
        await world.login(email, "wrong")

    text = (await world.get("/metrics")).text

    for outcome, count in {"opened": 1, "failed": 5, "throttled": 1}.items():
        assert f'infrawatch_api_logins_total{{outcome="{outcome}"}} {count}.0' in text
