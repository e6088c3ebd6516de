"""How a host replaces its key, and who cannot."""

import asyncio
import base64
import hmac
from datetime import timedelta
from typing import Any
from uuid import uuid4

from infrawatch_common.events import derive_secret
from records import MASTER_SECRET

KEY = "0123456789abcdef" * 2
HOST = "web-1"


def proof(world: Any, purpose: str, key_id: str = KEY, **changes: str) -> dict[str, str]:
    """A request body, signed with the key's secret; ``changes`` are made before, those of ``after_…`` afterwards."""
    body = {
        "host_id": HOST,
        "key_id": key_id,
        "timestamp": world.clock.now.isoformat(),
        "nonce": changes.pop("nonce", uuid4().hex),
        **{name: value for name, value in changes.items() if not name.startswith("after_")},
    }
    secret = derive_secret(MASTER_SECRET.encode(), body["key_id"])
    parts = (
        "infrawatch host key proof v1",
        purpose,
        *(body[name] for name in ("host_id", "key_id", "timestamp", "nonce")),
    )
    mac = hmac.digest(secret, "\0".join(parts).encode(), "sha256").hex()
    later = {name.removeprefix("after_"): value for name, value in changes.items() if name.startswith("after_")}
    return {**body, "proof": mac, **later}


def nonce(number: int) -> str:
    return f"{number:032x}"


async def ask(world: Any, purpose: str, **changes: str) -> Any:
    return await world.post(f"/api/v1/host-keys/{purpose}", json=proof(world, purpose, **changes))


async def add_key(world: Any, key_id: str = KEY, host_id: str = HOST, **columns: Any) -> None:
    await world.admin.execute(
        "INSERT INTO host_keys (id, host_id, created_at, revoked_at) VALUES ($1, $2, $3, $4)",
        key_id,
        host_id,
        columns.get("created_at", world.clock.now - timedelta(days=90)),
        columns.get("revoked_at"),
    )


async def revocation(world: Any, key_id: str) -> Any:
    return await world.admin.fetchval("SELECT revoked_at FROM host_keys WHERE id = $1", key_id)


async def test_a_proved_key_gets_a_new_one_and_ends_an_overlap_after_that_is_confirmed(world: Any) -> None:
    await add_key(world)

    answer = await ask(world, "rotate")
    given = answer.json()

    assert answer.status_code == 200, answer.text
    assert base64.b64decode(given["secret"]) == derive_secret(MASTER_SECRET.encode(), given["key_id"])
    assert given["key_id"] != KEY
    assert await revocation(world, KEY) is None, "the answer may be lost"

    world.clock.advance(10)
    confirmed = await ask(world, "confirm", key_id=given["key_id"])

    assert confirmed.status_code == 200, confirmed.text
    assert await revocation(world, KEY) == world.clock.now + timedelta(days=1)
    assert await revocation(world, given["key_id"]) is None
    [rotated] = await world.audit("host_key.rotated")
    assert (rotated["actor"], rotated["target"]) == ("agent", HOST)
    assert given["secret"] not in str(rotated["detail"])
    assert len(await world.audit("host_key.confirmed")) == 1


async def test_an_agent_that_lost_the_answer_asks_again_and_the_lost_key_ends_too(world: Any) -> None:
    await add_key(world)
    lost = (await ask(world, "rotate", nonce=nonce(1))).json()
    world.clock.advance(60)
    kept = (await ask(world, "rotate", nonce=nonce(2))).json()
    world.clock.advance(1)
    await ask(world, "confirm", key_id=kept["key_id"])

    for key_id in (KEY, lost["key_id"]):
        assert await revocation(world, key_id) is not None
    assert await revocation(world, kept["key_id"]) is None


async def test_confirming_twice_does_not_prolong_the_old_key(world: Any) -> None:
    await add_key(world)
    given = (await ask(world, "rotate")).json()
    world.clock.advance(10)
    await ask(world, "confirm", key_id=given["key_id"])
    ends = await revocation(world, KEY)
    world.clock.advance(3600)

    assert (await ask(world, "confirm", key_id=given["key_id"], nonce=nonce(9))).status_code == 200

    assert await revocation(world, KEY) == ends


async def test_in_the_overlap_the_old_key_still_proves_and_afterwards_not(world: Any) -> None:
    await add_key(world, revoked_at=world.clock.now + timedelta(seconds=60))
    assert (await ask(world, "rotate", nonce=nonce(1))).status_code == 200

    world.clock.advance(60)
    refused = await ask(world, "rotate", nonce=nonce(2))

    assert refused.status_code == 403
    assert "revoked" in refused.json()["detail"]


async def test_a_proof_can_be_used_for_one_rotation(world: Any) -> None:
    await add_key(world)
    body = proof(world, "rotate")

    answers = await asyncio.gather(*(world.post("/api/v1/host-keys/rotate", json=body) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
    assert await world.admin.fetchval("SELECT count(*) FROM host_keys") == 2


async def test_what_proves_nothing_is_refused_and_noted(world: Any) -> None:
    await add_key(world)
    other = "fedcba9876543210" * 2
    await add_key(world, other, "web-2")
    hour = (world.clock.now - timedelta(hours=1)).isoformat()
    refused: list[tuple[dict[str, str], str]] = [
        ({"after_proof": "0" * 64}, "not that of the key"),
        ({"after_host_id": "web-2"}, "not that of the key"),
        ({"after_nonce": nonce(5)}, "not that of the key"),
        ({"timestamp": hour}, "clock"),
        ({"key_id": "a" * 32}, "No host was given"),
        ({"key_id": other}, "another host"),
    ]
    for changes, detail in refused:
        answer = await ask(world, "rotate", **changes)
        assert answer.status_code == 403, changes
        assert detail in answer.json()["detail"]
    purpose = proof(world, "verify")
    assert (await world.post("/api/v1/host-keys/rotate", json=purpose)).status_code == 403

    assert len(await world.audit("host_key.refused")) == 7
    assert await world.admin.fetchval("SELECT count(*) FROM host_keys") == 2


async def test_guessing_proofs_is_throttled_by_address(world: Any) -> None:
    await add_key(world)
    for _ in range(10):
        assert (await ask(world, "verify", after_proof="0" * 64)).status_code == 403

    assert (await ask(world, "verify")).status_code == 429
    other = await world.post("/api/v1/host-keys/verify", json=proof(world, "verify"), ip="203.0.113.5")
    assert other.status_code == 200


async def test_a_host_gets_no_more_keys_in_an_hour_than_is_set(world: Any) -> None:
    await add_key(world)
    answers = [await ask(world, "rotate", nonce=nonce(number)) for number in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_verifying_tells_the_state_of_the_key(world: Any) -> None:
    ends = world.clock.now + timedelta(hours=1)
    await add_key(world, revoked_at=ends)

    answer = await ask(world, "verify")

    assert answer.status_code == 200
    assert answer.json()["key_id"] == KEY
    assert answer.json()["revoked_at"].startswith(ends.strftime("%Y-%m-%dT%H:%M:%S"))


async def test_retiring_a_host_ends_a_key_in_its_overlap_at_once(world: Any) -> None:
    await world.admin.execute("INSERT INTO hosts (id, name) VALUES ($1, $1)", HOST)
    await add_key(world, revoked_at=world.clock.now + timedelta(days=1))

    await world.call("DELETE", f"/api/v1/hosts/{HOST}", await world.signed_in("operator"))

    assert await revocation(world, KEY) == world.clock.now


MALFORMED: list[dict[str, str]] = [
    {"after_timestamp": "yesterday"},
    {"after_nonce": "0" * 31},
    {"after_proof": "x" * 64},
    {"after_key_id": KEY + "\n"},
    {"after_host_id": "a b"},
    {"after_role": "admin"},
]


async def test_malformed_proofs_are_refused_by_field(world: Any) -> None:
    for changes in MALFORMED:
        answer = await ask(world, "rotate", **changes)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [next(iter(changes)).removeprefix("after_")]
