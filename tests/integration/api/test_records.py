"""The audit log and the dead letters."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from asking import pages

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


async def add_letters(world: Any, count: int) -> None:
    rows = [
        (
            "ingest",
            "topic",
            number % 2,
            number,
            START,
            "web-1" if number % 3 else None,
            "malformed" if number % 2 else "invalid",
            "why",
            b"key",
            b"\x00\xff",
            '{"h": "00"}',
            START + timedelta(seconds=number // 4),
        )
        for number in range(count)
    ]
    await world.admin.executemany(
        "INSERT INTO dead_letters VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", rows
    )


async def test_dead_letters_come_newest_first_in_pages_each_once(world: Any) -> None:
    await add_letters(world, 23)

    found = await pages(world, "/api/v1/dead-letters", role="admin", limit=5)

    assert len({letter["offset"] for letter in found}) == len(found) == 23
    assert [letter["created_at"] for letter in found] == sorted(
        (letter["created_at"] for letter in found), reverse=True
    )
    assert found[0]["size"] == 2
    assert "value" not in found[0]


async def test_dead_letters_are_filtered(world: Any) -> None:
    await add_letters(world, 12)

    found = await pages(
        world, "/api/v1/dead-letters", role="admin", limit=50, reason="malformed", host_id="web-1", service="ingest"
    )

    assert {letter["offset"] for letter in found} == {1, 5, 7, 11}
    assert await pages(world, "/api/v1/dead-letters", role="admin", service="drift") == []


async def test_one_dead_letter_is_shown_whole_and_that_is_noted(world: Any) -> None:
    await add_letters(world, 2)
    admin = await world.signed_in("admin")

    letter = (await world.get("/api/v1/dead-letters/ingest/topic/1/1", admin)).json()

    assert base64.b64decode(letter["value"]) == b"\x00\xff"
    assert (letter["key"], letter["headers"]) == (base64.b64encode(b"key").decode(), {"h": "00"})
    assert letter["letter"]["reason"] == "malformed"
    assert [row["target"] for row in await world.audit("dead_letter.read")] == ["ingest/topic/1/1"]


NO_LETTERS: list[str] = ["ingest/topic/0/9", "ingest/%00/0/0", "ingest/topic/x/0"]


async def test_a_letter_that_is_not_there_is_a_404(world: Any) -> None:
    for path in NO_LETTERS:
        answer = await world.get(f"/api/v1/dead-letters/{path}", await world.signed_in("admin"))

        assert answer.status_code == 404


BAD_QUESTIONS: list[tuple[str, str]] = [
    ("dead-letters?reason=bad", "reason"),
    ("dead-letters?host_id=%00", "host_id"),
    ("dead-letters?service=%00", "service"),
    ("dead-letters/ingest/topic/2147483648/0", "partition"),
    ("dead-letters/ingest/topic/0/9223372036854775808", "offset"),
    ("dead-letters/ingest/topic/-1/0", "partition"),
    ("audit-log?cursor=WyIxIl0", "cursor"),
    ("audit-log?cursor=WzldXQ", "cursor"),
]


async def test_bad_questions_are_refused_by_field(world: Any) -> None:
    for path, field in BAD_QUESTIONS:
        answer = await world.get(f"/api/v1/{path}", await world.signed_in("admin"))

        assert answer.status_code == 400, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_audit_log_tells_who_did_what_from_where_newest_first(world: Any) -> None:
    email = await world.add_user("admin")
    session = (await world.login(email)).json()["access_token"]
    for name in ("one", "two", "three"):
        body = {"name": name, "role": "viewer", "expires_in": 60}
        await world.post("/api/v1/tokens", session, json=body)

    found = await pages(world, "/api/v1/audit-log", role="admin", limit=2)

    assert [entry["detail"].get("name") for entry in found] == ["three", "two", "one", None]
    assert {(entry["actor"], entry["ip"]) for entry in found} == {(email, "198.51.100.7")}
    assert found[-1]["action"] == "login"


async def test_the_service_cannot_change_the_audit_log(world: Any) -> None:
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.api.database._opened().acquire() as connection:
                await connection.execute(statement)
