"""Agents' users of Kafka follow the keys of their hosts, whatever happens in between."""

import base64
import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from infrawatch_api.secrets import new_key_id
from infrawatch_common.kafka_admin import KafkaAdmin
from infrawatch_common.settings import KafkaAdminSettings
from infrawatch_local.stack import Stack
from stack import eventually


async def enrolment(world: Any) -> str:
    admin = await world.signed_in("admin")
    return str((await world.post("/api/v1/enrolments", admin, json={"expires_in": 600})).json()["token"])


async def claim(world: Any, token: str, host_id: str) -> Any:
    return await world.post("/api/v1/enrolments/claim", json={"token": token, "host_id": host_id})


class Users:
    """The users of one installation, as the broker knows them."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.prefix = f"test-{secrets.token_hex(4)}-"
        self.admin = KafkaAdmin(KafkaAdminSettings.model_validate({"kafka_bootstrap_servers": bootstrap_servers}))

    async def keys(self) -> set[str]:
        return {user.removeprefix(self.prefix) for user in await self.admin.users(self.prefix)}

    async def become(self, *expected: str) -> None:
        async def reached() -> bool:
            return await self.keys() == set(expected)

        await eventually(reached, within=15)


@pytest.fixture
async def users(stack: Stack) -> AsyncIterator[Users]:
    made = Users(stack.kafka_bootstrap)
    yield made
    await made.admin.delete_users(made.prefix + key for key in await made.keys())


@pytest.fixture
def settings(stack: Stack, users: Users) -> dict[str, Any]:
    return {
        "kafka_bootstrap_servers": stack.kafka_bootstrap,
        "kafka_admin_timeout": 2,
        "agent_kafka_bootstrap_servers": "kafka.example:9094",
        "agent_kafka_ca": stack.kafka_authority.read_text(),
        "agent_kafka_user_prefix": users.prefix,
        "agent_kafka_sweep_interval": 1,
    }


MakeWorld = Callable[..., Any]


async def test_a_claim_gives_the_host_a_user_of_its_own(
    make_world: MakeWorld, users: Users, settings: dict[str, Any]
) -> None:
    world = await make_world(**settings)

    given = (await claim(world, await enrolment(world), "web-1")).json()

    access = given["kafka"]
    assert access["username"] == users.prefix + given["key_id"]
    assert len(access["password"]) >= 32
    assert access["security_protocol"] == "SASL_SSL"
    assert access["bootstrap_servers"] == "kafka.example:9094"
    assert access["ca"] == settings["agent_kafka_ca"]
    assert await users.keys() == {given["key_id"]}
    assert access["password"] not in str([dict(row) for row in await world.admin.fetch("SELECT * FROM audit_log")])


async def test_without_the_setting_agents_have_no_user(world: Any) -> None:
    assert (await claim(world, await enrolment(world), "web-1")).json()["kafka"] is None


async def test_while_kafka_is_away_a_claim_is_refused_and_its_token_stays_unused(
    make_world: MakeWorld, users: Users, settings: dict[str, Any]
) -> None:
    away = await make_world(**{**settings, "kafka_bootstrap_servers": "127.0.0.1:1", "kafka_admin_timeout": 1})
    token = await enrolment(away)

    refused = await claim(away, token, "web-1")

    assert refused.status_code == 503
    assert "Kafka" in refused.json()["detail"]
    assert await away.admin.fetchval("SELECT count(*) FROM host_keys") == 0
    back = await make_world(**settings)
    given = await claim(back, token, "web-1")
    assert given.status_code == 200
    await users.become(given.json()["key_id"])


async def test_retiring_a_host_deletes_its_users_and_no_others(
    make_world: MakeWorld, users: Users, settings: dict[str, Any]
) -> None:
    world = await make_world(**{**settings, "agent_kafka_sweep_interval": 3600})
    await claim(world, await enrolment(world), "web-1")
    other = (await claim(world, await enrolment(world), "web-2")).json()

    retired = await world.call("DELETE", "/api/v1/hosts/web-1", await world.signed_in("operator"))

    assert retired.status_code == 204
    await users.become(other["key_id"])


async def test_a_new_key_comes_with_a_new_user_and_takes_the_old_one_away(
    make_world: MakeWorld, users: Users, settings: dict[str, Any]
) -> None:
    world = await make_world(**settings, host_key_overlap=2)
    first = (await claim(world, await enrolment(world), "web-1")).json()
    world.clock.advance(1)

    second = await prove(world, "rotate", first)

    assert second["kafka"]["username"] == users.prefix + second["key_id"]
    assert second["kafka"]["password"] != first["kafka"]["password"]
    assert await users.keys() == {first["key_id"], second["key_id"]}
    await prove(world, "confirm", second)
    await users.become(second["key_id"])


async def test_while_kafka_is_away_a_key_is_not_replaced(make_world: MakeWorld, settings: dict[str, Any]) -> None:
    first = (await claim(world := await make_world(**settings), await enrolment(world), "web-1")).json()
    away = await make_world(**{**settings, "kafka_bootstrap_servers": "127.0.0.1:1", "kafka_admin_timeout": 1})

    answer = await prove(away, "rotate", first, expected=503)

    assert "Kafka" in answer["detail"]
    assert await away.admin.fetchval("SELECT count(*) FROM host_keys") == 1


async def prove(world: Any, purpose: str, key: dict[str, Any], expected: int = 200) -> dict[str, Any]:
    """Ask for something with a proof of the key."""
    signed = (key["host_id"], key["key_id"], world.clock.now.isoformat(), secrets.token_hex(16))
    text = "\0".join(("infrawatch host key proof v1", purpose, *signed))
    mac = hmac.digest(base64.b64decode(key["secret"]), text.encode(), "sha256").hex()
    body = dict(zip(("host_id", "key_id", "timestamp", "nonce"), signed, strict=True), proof=mac)
    answer = await world.post(f"/api/v1/host-keys/{purpose}", json=body)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


async def test_users_that_a_crash_left_over_are_deleted(
    make_world: MakeWorld, users: Users, settings: dict[str, Any]
) -> None:
    revoked, never_committed = new_key_id(), new_key_id()
    await users.admin.put_users({users.prefix + key: secrets.token_hex(16) for key in (revoked, never_committed)})
    await users.admin.put_users({f"other-{users.prefix}": "somebody else's, by another prefix"})
    world = await make_world(**settings)
    await world.admin.execute("INSERT INTO host_keys (id, host_id, revoked_at) VALUES ($1, 'web-1', now())", revoked)
    kept = (await claim(world, await enrolment(world), "web-2")).json()

    await users.become(kept["key_id"])
    assert await users.admin.users("other-") == {f"other-{users.prefix}"}
    await users.admin.delete_users([f"other-{users.prefix}"])


async def test_a_host_is_retired_while_kafka_is_away(make_world: MakeWorld, settings: dict[str, Any]) -> None:
    world = await make_world(**{**settings, "kafka_bootstrap_servers": "127.0.0.1:1", "kafka_admin_timeout": 1})
    await world.admin.execute("INSERT INTO hosts (id, name) VALUES ('web-1', 'web-1')")

    retired = await world.call("DELETE", "/api/v1/hosts/web-1", await world.signed_in("operator"))

    assert retired.status_code == 204

    async def counted() -> bool:
        return "infrawatch_api_agent_user_failures_total 0.0" not in (await world.get("/metrics")).text

    await eventually(counted)
