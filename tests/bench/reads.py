"""What the API makes of reading samples, against the same SQL without it."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from bench.http import Client
from bench.plans import Plan, explain
from bench.reference import settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from bench.sizes import Sizes
from infrawatch_api.secrets import TokenKind, new_token, token_hash
from infrawatch_api.store import queries, samples
from records import MASTER_SECRET
from stack import Database, Service, fresh_database

_CLIENTS = 4
_LEAST_RAW, _LEAST_BUCKETED = 0.35, 0.80
_MOST_BUFFERS = 1.1  # for each row: a row of one host lies alone in its page, and the index is small beside that
_BUCKET = timedelta(minutes=5)
_CURSOR, _END = re.compile(rb'"next_cursor":"([^"]+)"}$'), 1000

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class _Query:
    """One question, asked of the API, page by page, and of the database."""

    path: str
    statement: str
    arguments: tuple[object, ...]


async def measure_reads(setting: Setting) -> list[Result]:
    """An hour of every host raw, then 30 days of one host in buckets of five minutes."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with fresh_database(setting.stack) as database:
        async with database.admin() as admin:
            await _fill(admin, setting.sizes, end)
            token = await reader_token(admin)
        settle(database)
        environment = {**database.environment("api"), "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET}
        api = Service("api", setting.directory, environment, "serve").start()
        try:
            hosts = [f"host-{number}" for number in range(setting.sizes.reads_hosts)]
            raw = [_raw(host, end) for host in hosts]
            many = [_raw_of_many(hosts, end)] * (2 * setting.sizes.reads_rounds)
            bucketed = [_bucketed(host, end) for host in hosts[: 2 * setting.sizes.reads_rounds]]
            return [
                *await _compare("1 hour raw", raw * setting.sizes.reads_rounds, database, api, token, _LEAST_RAW),
                *await _compare(f"1 hour of {len(hosts)} hosts raw", many, database, api, token, _LEAST_RAW),
                *await _compare("30 days in buckets", bucketed, database, api, token, _LEAST_BUCKETED),
            ]
        finally:
            api.stop()


async def _fill(admin: Any, sizes: Sizes, end: datetime) -> None:
    """Samples of all hosts as they come: in the order of time, so that a host's rows lie far apart."""
    await admin.execute(
        "INSERT INTO hosts (id, name) SELECT 'host-' || n, 'host-' || n FROM generate_series(0, $1::int - 1) AS n",
        sizes.reads_hosts,
    )
    await admin.execute("SET session_replication_role = replica")
    for begin, until, every in (
        (end - timedelta(days=sizes.reads_days), end - timedelta(hours=1), timedelta(seconds=sizes.reads_interval)),
        (end - timedelta(hours=1), end, timedelta(seconds=10)),
    ):
        await admin.execute(
            "INSERT INTO metrics (id, host_id, timestamp, cpu, memory, disk, uptime)"
            " SELECT gen_random_uuid(), 'host-' || n, at + n * INTERVAL '1 ms', random() * 100, 40.1, 71, 86400"
            " FROM generate_series($1::timestamptz, $2::timestamptz - INTERVAL '1 s', $3::interval) AS at,"
            " generate_series(0, $4::int - 1) AS n ORDER BY 3",
            begin,
            until,
            every,
            sizes.reads_hosts,
        )
    await admin.execute("SET session_replication_role = origin")
    await admin.execute("ANALYZE metrics")


async def reader_token(admin: Any) -> str:
    """An API token of a new viewer."""
    token = new_token(TokenKind.API)
    await admin.execute(
        "WITH reader AS (INSERT INTO users (email, password, role) VALUES ('bench@example.org', '-', 'viewer')"
        " RETURNING id) INSERT INTO api_tokens (user_id, name, role, token_hash, expires_at)"
        " SELECT id, 'bench', 'viewer', $1, now() + INTERVAL '1 hour' FROM reader",
        token_hash(token),
    )
    return token


def _raw(host: str, end: datetime) -> _Query:
    begin, limit = end - timedelta(hours=1), 1000
    asked = urlencode({"from": _text(begin), "to": _text(end), "limit": limit})
    return _Query(f"/api/v1/hosts/{host}/metrics?{asked}", samples._RAW, (host, begin, end, limit + 1))


def _raw_of_many(hosts: Sequence[str], end: datetime) -> _Query:
    begin = end - timedelta(hours=1)
    asked = urlencode({"from": _text(begin), "to": _text(end), "host": hosts, "limit": 10_000}, doseq=True)
    return _Query(f"/api/v1/metrics/query?{asked}", queries._RAW, (hosts, begin, end, len(hosts) * 1000))


def _bucketed(host: str, end: datetime) -> _Query:
    begin = end - timedelta(days=30)
    asked = urlencode({"from": _text(begin), "to": _text(end), "bucket": "PT5M"})
    return _Query(f"/api/v1/hosts/{host}/metrics?{asked}", samples._BUCKETS, (host, begin, end, _BUCKET, begin))


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def _pages_of(client: Client, path: str) -> None:
    """Every page of an answer; the cursor comes last in a body."""
    cursor = _CURSOR.search((await client.get(path))[-_END:])
    while cursor:
        cursor = _CURSOR.search((await client.get(f"{path}&cursor={cursor[1].decode()}"))[-_END:])


async def _compare(
    name: str, queries: Sequence[_Query], database: Database, api: Service, token: str, least: float
) -> list[Result]:
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(database.connect("api")) for _ in range(_CLIENTS)]
        clients = [await stack.enter_async_context(Client(api.port, token)) for _ in range(_CLIENTS)]

        def direct(worker: int, query: _Query) -> Awaitable[object]:
            found: Awaitable[object] = connections[worker].fetch(query.statement, *query.arguments)
            return found

        def served(worker: int, query: _Query) -> Awaitable[object]:
            return _pages_of(clients[worker], query.path)

        await _rate(queries[:_CLIENTS], direct)  # so that what follows finds the pages in memory
        await _rate(queries[:_CLIENTS], served)
        before = await _rate(queries, direct)
        rate = await _rate(queries, served)
        reference = (before + await _rate(queries, direct)) / 2
        plan = await explain(connections[0], queries[0].statement, *queries[0].arguments)
    counted = await _rows(database, queries[0])
    return [
        Result(
            f"API, {name}",
            rate,
            "requests/s",
            Reference("same SQL by asyncpg", reference),
            Goal(Of.RATIO, Sense.AT_LEAST, least),
            {"requests": len(queries), "clients": _CLIENTS},
        ),
        _pages(name, plan, counted),
    ]


def _pages(name: str, plan: Plan, rows: int) -> Result:
    return Result(
        f"API, {name}: pages read",
        plan.buffers,
        "pages",
        Reference("rows that are needed", rows),
        Goal(Of.RATIO, Sense.AT_MOST, _MOST_BUFFERS),
        {"plan": asdict(plan)},
    )


async def _rows(database: Database, query: _Query) -> int:
    hosts, begin, end = query.arguments[:3]
    async with database.admin() as admin:
        count: int = await admin.fetchval(
            "SELECT count(*) FROM metrics WHERE host_id = ANY ($1) AND timestamp >= $2 AND timestamp < $3",
            [hosts] if isinstance(hosts, str) else hosts,
            begin,
            end,
        )
        return count


async def _rate(queries: Sequence[_Query], ask: Callable[[int, _Query], Awaitable[object]]) -> float:
    """Queries a second, asked by several clients at once."""
    left = iter(queries)

    async def work(worker: int) -> None:
        for query in left:
            await ask(worker, query)

    began = time.monotonic()
    await asyncio.gather(*(work(worker) for worker in range(_CLIENTS)))
    return len(queries) / (time.monotonic() - began)
