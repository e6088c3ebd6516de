"""The live database is the documented one: every column, key, index and privilege, and nothing besides."""

import tomllib
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infrawatch_local.stack import Stack
from stack import Database, fresh_database

DOCUMENTED = tomllib.loads((Path(__file__).parents[2] / "schemas/database/schema.toml").read_text(encoding="utf-8"))
FUNCTIONS = DOCUMENTED.pop("functions")

TABLES = """
SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE n.nspname = 'public' AND relkind IN ('r', 'p') AND relname <> 'alembic_version'
"""
COLUMNS = """
SELECT attname, concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
                          'default ' || pg_get_expr(adbin, adrelid), CASE WHEN attidentity <> '' THEN 'generated' END)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
"""
KEYS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u', 'f', 'c')
"""
INDEXES = """
SELECT relname, (CASE WHEN indisunique THEN 'unique ' ELSE '' END)
                || substring(pg_get_indexdef(indexrelid) FROM ' USING (.*)$')
FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indrelid = $1::text::regclass AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)
"""
GRANTS = """
SELECT grantee, string_agg(privilege, ' ' ORDER BY privilege) FROM (
    SELECT grantee::text, lower(privilege_type) AS privilege
    FROM information_schema.table_privileges WHERE table_schema = 'public' AND table_name = $1::text
    UNION ALL
    SELECT c.grantee::text, lower(c.privilege_type) || '(' || c.column_name || ')'
    FROM information_schema.column_privileges c
    WHERE table_schema = 'public' AND table_name = $1::text AND NOT EXISTS (
        SELECT FROM information_schema.table_privileges t
        WHERE (t.table_schema, t.table_name, t.grantee, t.privilege_type)
            = (c.table_schema, c.table_name, c.grantee, c.privilege_type))
) AS given WHERE grantee <> 'postgres' GROUP BY grantee
"""

OWN_FUNCTIONS = """
SELECT proname, prosecdef AND proconfig::text LIKE '%search_path=%' AS safe,
       (SELECT coalesce(
            string_agg(CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, ' ' ORDER BY grantee), '')
        FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee <> proowner) AS grants
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
"""


async def live_schema(connection: Any) -> dict[str, dict[str, dict[str, str]]]:
    async def pairs(query: str, table: str) -> dict[str, str]:
        return dict(await connection.fetch(query, table))

    schema = {}
    for (table,) in await connection.fetch(TABLES):
        grants = await pairs(GRANTS, table)
        schema[table] = {
            "columns": await pairs(COLUMNS, table),
            "keys": await pairs(KEYS, table),
            "indexes": await pairs(INDEXES, table),
            "grants": {role.removeprefix("infrawatch_"): privileges for role, privileges in grants.items()},
        }
    return schema


async def test_every_column_key_index_and_privilege_is_as_documented(database: Database) -> None:
    async with database.admin() as connection:
        live = await live_schema(connection)
    assert live.keys() == DOCUMENTED.keys()
    for table, parts in live.items():
        for part, entries in parts.items():
            assert entries == DOCUMENTED[table][part], f"{table}.{part}"


async def test_a_column_that_nobody_documented_is_noticed(database: Database) -> None:
    async with database.admin() as connection:
        await connection.execute("ALTER TABLE hosts ADD COLUMN surprise INTEGER")
        live = await live_schema(connection)
    assert live["hosts"]["columns"] != DOCUMENTED["hosts"]["columns"]


async def test_every_function_is_documented_and_safe_to_call_with_its_owners_rights(database: Database) -> None:
    async with database.admin() as connection:
        live = {name: (safe, grants) for name, safe, grants in await connection.fetch(OWN_FUNCTIONS)}
    assert live == {
        name: (True, " ".join(f"infrawatch_{role}" for role in documented["grants"].split()))
        for name, documented in FUNCTIONS.items()
    }


async def test_the_hypertables_have_the_documented_chunks(database: Database) -> None:
    async with database.admin() as connection:
        rows = await connection.fetch(
            "SELECT hypertable_name, column_name, time_interval::text FROM timescaledb_information.dimensions"
        )
    assert {row[0]: {"column": row[1], "interval": row[2]} for row in rows} == {
        table: parts["hypertable"] for table, parts in DOCUMENTED.items() if "hypertable" in parts
    }


async def test_samples_that_are_there_before_the_rollup_are_marked_for_it(stack: Stack) -> None:
    with fresh_database(stack, "0004") as database:
        async with database.admin() as connection:
            await connection.execute("INSERT INTO hosts (id, name) VALUES ('host-a', 'a'), ('host-b', 'b')")
            await connection.execute(
                "INSERT INTO metrics SELECT gen_random_uuid(), 'host-' || name, moment, 1, 2, 3, 4 FROM"
                " generate_series(timestamptz '2026-11-20 22:30Z', '2026-11-21 01:30Z', '10 min') AS moment,"
                " unnest(ARRAY['a', 'b']) AS name"
            )
            for _ in range(2):
                database.migrate()
                hours = await connection.fetch("SELECT host_id, hour FROM rollup_pending ORDER BY 1, 2")
                assert [(host, hour.hour) for host, hour in hours] == [
                    (host, hour) for host in ("host-a", "host-b") for hour in (22, 23, 0, 1)
                ]
                assert await connection.fetchval("SELECT count(*) FROM metrics") == 2 * 19


async def test_migrating_again_with_data_present_changes_nothing(database: Database) -> None:
    async with database.admin() as connection:
        await connection.execute("INSERT INTO hosts (id, name) VALUES ('host-a', 'a')")
        before = await live_schema(connection)
        database.migrate()
        assert await live_schema(connection) == before
        assert await connection.fetchval("SELECT name FROM hosts") == "a"


async def test_every_statement_of_every_migration_is_safe_to_run_twice(database: Database) -> None:
    async with database.admin() as connection:
        before = await live_schema(connection)
        await connection.execute("DELETE FROM alembic_version")
        database.migrate()
        assert await live_schema(connection) == before


@pytest.mark.parametrize("service", ["ingest", "alerting", "drift", "api"])
async def test_no_service_is_a_superuser_or_may_change_the_schema(database: Database, service: str) -> None:
    async with database.connect(service) as connection:
        flags = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user"
        )
        assert not any(flags)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine ()")


@pytest.mark.parametrize("service", ["ingest", "alerting", "drift", "api"])
async def test_no_service_can_rewrite_the_audit_log(database: Database, service: str) -> None:
    async with database.connect(service) as connection:
        for statement in ("DELETE FROM audit_log", "UPDATE audit_log SET actor = 'x'", "TRUNCATE audit_log"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


@pytest.mark.parametrize("service", ["ingest", "alerting", "drift", "api"])
async def test_no_service_may_switch_row_triggers_off_by_itself(database: Database, service: str) -> None:
    async with database.connect(service) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SET session_replication_role = replica")
        if service != "ingest":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("SELECT begin_insert_for_known_hosts('')")
