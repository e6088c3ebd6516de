"""Promise 7 with the real parts: whatever somebody sends, it cannot write as another host."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from ledger import producer
from records import body, host_key, sample, signature
from stack import Database, Service, Topics, eventually, ingest_environment

ALICE, BOB = "host-alice", "host-bob"
MakeService = Callable[..., Service]


def forgeries(good: dict[str, Any], topics: Topics) -> dict[str, tuple[bytes, bytes, list[tuple[str, bytes]], str]]:
    """Kind → key, body, headers, and the reason of its dead letter. ``good`` is a record that Bob sent."""
    alice, bob = host_key(ALICE), host_key(BOB)
    value, name = body(good), BOB.encode()
    proof = signature(bob, value, topics.metrics)
    altered = body({**good, "cpu": 99.0})
    revoked = host_key(BOB, "f" * 32)
    return {
        "Alice claims to be Bob": (name, value, [signature(alice, value, topics.metrics)], "bad_signature"),
        "Alice names Bob's key": (
            name,
            value,
            [(proof[0], proof[1][:36] + signature(alice, value, topics.metrics)[1][36:])],
            "bad_signature",
        ),
        "another body under Bob's signature": (name, altered, [proof], "bad_signature"),
        "signed for another topic": (name, value, [signature(bob, value, topics.snapshots)], "bad_signature"),
        "a replay under Alice's key": (ALICE.encode(), value, [proof], "wrong_key"),
        "a key that was revoked": (name, altered, [signature(revoked, altered, topics.metrics)], "revoked_key"),
        "a key that nobody was given": (
            name,
            altered,
            [signature(host_key(BOB, "e" * 32), altered, topics.metrics)],
            "unknown_key",
        ),
        "no signature": (name, altered, [], "unsigned"),
        "a header without form": (name, altered, [(proof[0], b"v1 " + b"x" * 97)], "bad_signature"),
    }


async def test_forged_records_become_dead_letters_and_change_nothing_of_their_victim(
    database: Database, topics: Topics, service: MakeService, known_hosts: Callable[[list[str]], None]
) -> None:
    known_hosts([ALICE, BOB])
    revoke("f" * 32, BOB, database)
    good = sample(BOB, 1, datetime.now(UTC) - timedelta(seconds=2))
    value = body(good)
    proof = [signature(host_key(BOB), value, topics.metrics)]
    kinds = forgeries(good, topics)
    ingest = service("ingest", ingest_environment(database, topics)).start()
    async with producer(topics) as sending:
        first = await sending.send_and_wait(topics.metrics, value, key=BOB.encode(), headers=proof)
        for key, forged, headers, _ in kinds.values():
            await sending.send_and_wait(topics.metrics, forged, key=key, headers=headers)
        # A replay that is right in every way, at its own place and at another.
        elsewhere = (first.partition + 1) % 4
        for partition in (first.partition, elsewhere):
            await sending.send_and_wait(topics.metrics, value, key=BOB.encode(), headers=proof, partition=partition)

    async def settled() -> bool:
        counted = ingest.metric('infrawatch_ingest_records_total{outcome="duplicate"}')
        async with database.admin() as connection:
            return counted == 2 and await connection.fetchval("SELECT count(*) FROM dead_letters") == len(kinds)

    await eventually(settled)
    async with database.admin() as connection:
        rows = await connection.fetch("SELECT host_id, id::text, cpu FROM metrics")
        letters = await connection.fetch("SELECT reason FROM dead_letters")
        hosts = await connection.fetch("SELECT id FROM hosts")
    expected = Counter(reason for *_, reason in kinds.values())
    assert [tuple(row) for row in rows] == [(BOB, good["id"], good["cpu"])]
    assert [row["id"] for row in hosts] == [BOB]
    assert Counter(letter["reason"] for letter in letters) == expected
    for reason, count in expected.items():
        assert ingest.metric(f'infrawatch_ingest_records_total{{outcome="{reason}"}}') == count


def revoke(key_id: str, host: str, database: Database) -> None:
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(
            "INSERT INTO host_keys (id, host_id, revoked_at) VALUES (%s, %s, now() - interval '1 minute')",
            (key_id, host),
        )


async def test_unsigned_records_are_taken_where_the_operator_says_so_and_forged_ones_still_are_not(
    database: Database, topics: Topics, service: MakeService, known_hosts: Callable[[list[str]], None]
) -> None:
    known_hosts([ALICE, BOB])
    unsigned, forged = sample(BOB, 1, datetime.now(UTC)), sample(BOB, 2, datetime.now(UTC))
    service("ingest", ingest_environment(database, topics, accept_unsigned=True)).start()
    async with producer(topics) as sending:
        await sending.send_and_wait(topics.metrics, body(unsigned), key=BOB.encode())
        header = signature(host_key(ALICE), body(forged), topics.metrics)
        await sending.send_and_wait(topics.metrics, body(forged), key=BOB.encode(), headers=[header])

    async def settled() -> bool:
        async with database.admin() as connection:
            return bool(
                await connection.fetchval(
                    "SELECT (SELECT count(*) FROM metrics) = 1 AND EXISTS (SELECT FROM dead_letters)"
                )
            )

    await eventually(settled)
    async with database.admin() as connection:
        assert await connection.fetchval("SELECT id::text FROM metrics") == unsigned["id"]
        assert await connection.fetchval("SELECT reason FROM dead_letters") == "bad_signature"
