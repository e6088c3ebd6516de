"""How a host gets its key, and who does not."""

import asyncio
import base64
import json
from typing import Any

from infrawatch_common.events import derive_secret
from records import MASTER_SECRET


async def enrolment(world: Any, host_id: str | None = None, expires_in: int = 600) -> str:
    admin = await world.signed_in("admin")
    body = {"expires_in": expires_in, **({"host_id": host_id} if host_id else {})}
    answer = await world.post("/api/v1/enrolments", admin, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def claim(world: Any, token: str, host_id: str | None = None, **options: Any) -> Any:
    body = {"token": token, **({"host_id": host_id} if host_id else {}), **options.pop("body", {})}
    return await world.post("/api/v1/enrolments/claim", json=body, **options)


async def test_a_claim_registers_the_host_and_gives_it_a_key(world: Any) -> None:
    token = await enrolment(world)

    answer = await claim(world, token, "web-1", body={"name": "Web 1", "tags": {"env": "prod"}})
    given = answer.json()

    assert answer.status_code == 200
    assert given["host_id"] == "web-1"
    assert base64.b64decode(given["secret"]) == derive_secret(MASTER_SECRET.encode(), given["key_id"])
    host = await world.admin.fetchrow("SELECT id, name, tags FROM hosts")
    assert (host["id"], host["name"], json.loads(host["tags"])) == ("web-1", "Web 1", {"env": "prod"})
    assert await world.admin.fetchval("SELECT host_id FROM host_keys WHERE id = $1", given["key_id"]) == "web-1"
    used = (await world.get("/api/v1/enrolments", await world.signed_in("admin"))).json()["items"][0]
    assert used["used_by"] == "web-1"
    assert "token" not in used


async def test_a_token_works_once(world: Any) -> None:
    token = await enrolment(world)
    assert (await claim(world, token, "web-1")).status_code == 200

    answer = await claim(world, token, "web-2")

    assert answer.status_code == 403
    assert answer.json()["type"].endswith("enrolment-refused")
    assert [row["target"] for row in await world.audit("enrolment.refused")] == ["web-2"]


async def test_of_claims_at_once_one_succeeds(world: Any) -> None:
    token = await enrolment(world)

    answers = await asyncio.gather(*(claim(world, token, f"web-{n}", ip=f"198.51.100.{n}") for n in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 7
    assert await world.admin.fetchval("SELECT count(*) FROM host_keys") == 1


async def test_of_two_enrolments_for_one_new_host_at_once_one_succeeds(world: Any) -> None:
    tokens = [await enrolment(world) for _ in range(4)]

    answers = await asyncio.gather(
        *(claim(world, token, "web-1", ip=f"198.51.100.{n}") for n, token in enumerate(tokens))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_a_token_expires_and_can_be_deleted(world: Any) -> None:
    expiring, deleted = await enrolment(world, expires_in=60), await enrolment(world, "web-9")
    admin = await world.signed_in("admin")
    listed = (await world.get("/api/v1/enrolments", admin)).json()["items"]
    bound = next(item for item in listed if item["host_id"] == "web-9")
    assert (await world.call("DELETE", f"/api/v1/enrolments/{bound['id']}", admin)).status_code == 204

    world.clock.advance(60)

    assert (await claim(world, expiring, "web-1")).status_code == 403
    assert (await claim(world, deleted)).status_code == 403


async def test_a_host_that_is_there_takes_an_enrolment_made_for_it(world: Any) -> None:
    first = (await claim(world, await enrolment(world), "web-1")).json()

    refused = await claim(world, await enrolment(world), "web-1")
    assert refused.status_code == 409
    assert refused.json()["detail"] == "re-enrolment needs an enrolment made for this host"

    second = (await claim(world, await enrolment(world, "web-1"))).json()
    assert second["host_id"] == "web-1"
    keys = await world.admin.fetch("SELECT id FROM host_keys WHERE revoked_at IS NULL")
    assert {row["id"] for row in keys} == {first["key_id"], second["key_id"]}


async def test_a_host_with_data_and_without_key_takes_an_enrolment_made_for_it(world: Any) -> None:
    await world.admin.execute(
        "INSERT INTO hosts (id, name, last_seen) VALUES ('seen', 'seen', now()), ('new', 'n', NULL)"
    )

    assert (await claim(world, await enrolment(world), "seen")).status_code == 409
    assert (await claim(world, await enrolment(world), "new")).status_code == 200


async def test_a_refused_claim_does_not_use_up_the_token(world: Any) -> None:
    await world.admin.execute("INSERT INTO hosts (id, name, last_seen) VALUES ('seen', 'seen', now())")
    token = await enrolment(world)
    assert (await claim(world, token, "seen")).status_code == 409

    assert (await claim(world, token, "web-1")).status_code == 200


async def test_an_enrolment_for_one_host_gives_no_key_to_another(world: Any) -> None:
    token = await enrolment(world, "web-1")

    assert (await claim(world, token, "web-2")).status_code == 409
    assert (await claim(world, token, "web-1")).status_code == 200


async def test_a_claim_without_host_is_refused_by_field(world: Any) -> None:
    answer = await claim(world, await enrolment(world))

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["host_id"]


async def test_a_retired_host_is_in_service_again_with_an_enrolment_made_for_it(world: Any) -> None:
    await claim(world, await enrolment(world), "web-1")
    await world.call("DELETE", "/api/v1/hosts/web-1", await world.signed_in("operator"))

    await claim(world, await enrolment(world, "web-1"))

    host = (await world.get("/api/v1/hosts/web-1", await world.signed_in("viewer"))).json()
    assert host["retired"] is None


async def test_guessing_tokens_is_throttled_by_address(world: Any) -> None:
    for number in range(10):
        assert (await claim(world, f"iwe_{number}", "web-1")).status_code == 403

    token = await enrolment(world)
    refused = await claim(world, token, "web-1")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await claim(world, token, "web-1", ip="203.0.113.5")).status_code == 200


BAD_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"token": "iwe_x", "host_id": "a b"}, "host_id"),
    ({"token": "iwe_x", "host_id": "a\n"}, "host_id"),
    ({"token": ""}, "token"),
    ({"host_id": "web-1"}, "token"),
    ({"token": "iwe_x", "role": "admin"}, "role"),
    ({"token": "iwe_x", "tags": {str(n): "" for n in range(65)}}, "tags"),
]


async def test_bad_claims_are_refused_by_field(world: Any) -> None:
    for body, field in BAD_CLAIMS:
        answer = await world.post("/api/v1/enrolments/claim", json=body)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]
