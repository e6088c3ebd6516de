"""What is left of a host that is purged: nothing but what is meant to outlive it."""

import asyncio
from typing import Any

from fleet import add_change, add_host

# Why a table keeps rows of a host that is gone.
OUTLIVES = {
    "host_keys": "revoked, and never to be taken for new ones",
    "enrolments": "they tell who let the host in",
    "dead_letters": "they are of the topic; retention deletes them",
    "rollup_pending": "ingest forgets hours that nothing is left of",
    "alert_states": "alerting ends what fires for a host that is gone, and deletes them itself",
    "alert_hosts": "as the states",
    "alert_histories": "as the states",
    "notices": "who was told of what began is told that it ended",
    "notice_hosts": "as the notices",
    "notifications": "the ledger of what was told; retention deletes it",
    "deliveries": "as the messages",
}
_TABLES = """
SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND column_name = 'host_id'
"""
_NEEDED = """
SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = ''
  AND attname <> 'host_id' AND attnotnull
"""
_VALUES: dict[str, str] = {
    "uuid": "gen_random_uuid()",
    "text": "md5(random()::text)",
    "jsonb": "'{}'",
    "bytea": "uuid_send(gen_random_uuid())",
    "boolean": "FALSE",
    "timestamp with time zone": "'2026-11-22T10:00:00Z'",
    "interval": "'1 min'",
    "int8multirange": "'{}'",
    "text[]": "'{}'",
    "integer[]": "'{}'",
    "interval[]": "'{}'",
} | dict.fromkeys(("integer", "bigint", "double precision", "real"), "floor(random() * 1e9)")
_CHECKS = """
SELECT conname FROM pg_constraint WHERE conrelid = $1::text::regclass AND contype = 'c' AND conislocal
"""


async def tables(world: Any) -> set[str]:
    return {row["table_name"] for row in await world.admin.fetch(_TABLES)}


async def fill(world: Any, table: str, host_id: str) -> None:
    """A row of the host, of any values: neither checks nor references matter here."""
    for row in await world.admin.fetch(_CHECKS, table):
        await world.admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {row['conname']}")
    needed = {row["name"]: _VALUES.get(row["type"], "DEFAULT") for row in await world.admin.fetch(_NEEDED, table)}
    names, values = ", ".join(["host_id", *(f'"{name}"' for name in needed)]), ", ".join(["$1", *needed.values()])
    await world.admin.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", host_id)


async def test_a_purge_leaves_no_row_of_the_host_but_what_is_to_outlive_it(world: Any) -> None:
    found = await tables(world)
    assert found >= set(OUTLIVES)
    await world.admin.execute("SET session_replication_role = replica")
    for host_id in ("web-1", "web-2"):
        await add_host(world, host_id)
        for table in found:
            await fill(world, table, host_id)

    answer = await world.call("DELETE", "/api/v1/hosts/web-1?purge=true", await world.signed_in("admin"))

    assert answer.status_code == 204
    for table in found:
        left = [row["host_id"] for row in await world.admin.fetch(f"SELECT DISTINCT host_id FROM {table}")]
        assert sorted(left) == (["web-1", "web-2"] if table in OUTLIVES else ["web-2"]), table


async def test_a_purge_and_those_who_judge_or_hide_changes_do_not_lock_one_another_out(world: Any) -> None:
    hosts = [f"web-{number}" for number in range(3)]
    for host_id in hosts:
        await add_host(world, host_id)
        for name in map(str, range(40)):
            model = await add_change(world, host_id, name)
    ids = [str(row["id"]) for row in await world.admin.fetch("SELECT id FROM drift_changes ORDER BY id DESC")]
    admin = await world.signed_in("admin")
    said = {"verdict": "accepted", "reason": "x"}

    answers = await asyncio.gather(
        *(world.call("DELETE", f"/api/v1/hosts/{host_id}?purge=true", admin) for host_id in hosts[:2]),
        world.post("/api/v1/drift/triage", admin, json={**said, "like": model}),
        world.post("/api/v1/drift/triage", admin, json={**said, "ids": ids}),
        world.post("/api/v1/drift/ignores", admin, json={"names": ["*"], "everything": True, "reason": "x"}),
        world.post("/api/v1/drift/triage", admin, json={**said, "ids": ids[::-1]}),
    )

    # Some of the changes may be gone, and then they cannot be judged; nobody has to try again.
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 400}
    for table in ("drift_changes", "drift_verdicts", "drift_baselines"):
        left = [row["host_id"] for row in await world.admin.fetch(f"SELECT DISTINCT host_id FROM {table}")]
        assert set(left) <= {"web-2"}, table
