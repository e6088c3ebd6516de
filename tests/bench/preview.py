"""Previews of an alert rule through the API, against the database sending the same rows to nobody."""

import asyncio
import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from bench.figures import percentile
from bench.http import Client
from bench.reference import settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from bench.sizes import Sizes
from infrawatch_api.secrets import TokenKind, new_token, token_hash
from infrawatch_local import settings as local_settings
from infrawatch_local.tree import Runtime
from records import MASTER_SECRET
from stack import Database, Service, fresh_database

_PATH = "/api/v1/alerts/preview"
_MOST_SECONDS_OF_ONE, _MOST_SECONDS_OF_ALL = 1.0, 10.0
_THRESHOLDS, _DURATIONS = range(50, 100, 5), range(60, 660, 60)
# Fires some times a day on every host; between that it is noise.
_FILL = """
INSERT INTO metrics (id, host_id, timestamp, cpu, memory, disk, uptime)
SELECT gen_random_uuid(), 'host-' || n, at + n * INTERVAL '1 ms',
       CASE WHEN (extract(epoch FROM at)::bigint + n * 977) % 21600 < 480 THEN 95 ELSE 20 + random() * 40 END,
       40.1, 71, 86400
FROM generate_series($1::timestamptz, $2::timestamptz - INTERVAL '1 s', INTERVAL '10 s') AS at,
     generate_series(0, $3::int - 1) AS n
ORDER BY 3
"""


async def measure_preview(setting: Setting) -> list[Result]:
    """A rule over a month of one host, and over a week of all; then a sweep, and what others wait meanwhile."""
    sizes = setting.sizes
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with fresh_database(setting.stack) as database:
        async with database.admin() as admin:
            await _fill(admin, sizes, end)
            token = await _token(admin)
        settle(database)
        environment = {**database.environment("api"), "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET}
        api = Service("api", setting.directory, {**environment, "INFRAWATCH_PREVIEW_TIMEOUT": "300"}, "serve").start()
        try:
            async with Client(api.port, token) as client, Client(api.port, token) as other:
                bench = _Bench(setting, database, client, other, end)
                await client.post(_PATH, _question(["host-0"], end - timedelta(minutes=1), end))  # starts the process
                return [*await bench.run(), _memory(api.pid)]
        finally:
            api.stop()


class _Bench:
    def __init__(self, setting: Setting, database: Database, client: Client, other: Client, end: datetime) -> None:
        self._sizes = setting.sizes
        self._directory = setting.directory
        self._database = database
        self._client = client
        self._other = other
        self._end = end

    async def run(self) -> list[Result]:
        sizes = self._sizes
        hosts = [f"host-{number}" for number in range(sizes.preview_hosts)]
        month, week = timedelta(days=sizes.preview_long_days), timedelta(days=sizes.preview_days)
        one, of_all = f"{month.days} days of 1 host", f"{week.days} days of {len(hosts)} hosts"
        return [
            await self._compare(f"preview, {one}", hosts[:1], month, _MOST_SECONDS_OF_ONE),
            await self._compare(f"preview, {of_all}", hosts, week, _MOST_SECONDS_OF_ALL),
            await self._sweep(f"preview, {one}, sweep", hosts[:1], month),
            await self._sweep(f"preview, {of_all}, sweep", hosts, week),
            await self._meanwhile("API meanwhile, p95", hosts, week),
        ]

    async def _compare(self, name: str, hosts: Sequence[str], length: timedelta, most: float) -> Result:
        taken, references = [], []
        found: dict[str, Any] = {}
        for _ in range(self._sizes.preview_rounds):
            references.append(await asyncio.to_thread(self._copy, hosts, length))
            seconds, found = await self._ask(hosts, length)
            taken.append(seconds)
        references.append(await asyncio.to_thread(self._copy, hosts, length))
        return Result(
            name,
            statistics.median(taken),
            "s",
            Reference("COPY to nobody by psql", statistics.median(references)),
            Goal(Of.VALUE, Sense.AT_MOST, most),
            {"seconds": taken, "references": references, "samples": found["samples"], "total": found["total"]},
        )

    async def _sweep(self, name: str, hosts: Sequence[str], length: timedelta) -> Result:
        tried = {"thresholds": list(_THRESHOLDS), "durations": list(_DURATIONS)}
        seconds, found = await self._ask(hosts, length, sweep=tried)
        plain, _ = await self._ask(hosts, length)
        detail = {"combinations": len(found["sweep"]), "samples": found["samples"]}
        return Result(name, seconds, "s", Reference("the same without sweep", plain), None, detail)

    async def _meanwhile(self, name: str, hosts: Sequence[str], length: timedelta) -> Result:
        """What another request waits while a preview is worked out, and before it."""
        idle = [await self._waited() for _ in range(200)]
        working = asyncio.create_task(self._ask(hosts, length))
        busy = []
        while not working.done():
            busy.append(await self._waited())
        await working
        return Result(
            name, percentile(busy, 95) * 1000, "ms", Reference("without preview", percentile(idle, 95) * 1000)
        )

    async def _waited(self) -> float:
        began = time.monotonic()
        await self._other.get("/api/v1/hosts?limit=10")
        return time.monotonic() - began

    async def _ask(self, hosts: Sequence[str], length: timedelta, **more: Any) -> tuple[float, dict[str, Any]]:
        question = _question(hosts, self._end - length, self._end, **more)
        began = time.monotonic()
        answer = await self._client.post(_PATH, question)
        return time.monotonic() - began, json.loads(answer)

    def _copy(self, hosts: Sequence[str], length: timedelta) -> float:
        """Seconds that psql takes to get the same rows, and throw them away."""
        named = ", ".join(f"'{host}'" for host in hosts)
        statement = (
            f"COPY (SELECT host_id, timestamp, cpu FROM metrics WHERE host_id IN ({named})"
            f" AND timestamp >= '{self._end - length}' AND timestamp < '{self._end}') TO STDOUT (FORMAT binary)"
        )
        began = time.monotonic()
        _psql(self._database, self._directory, statement)
        return time.monotonic() - began


def _memory(api: int) -> Result:
    """Of the process that works previews out, the API's only child."""
    [worker] = psutil.Process(api).children()
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{worker.pid}/status").read_text(), re.MULTILINE)
    assert peak
    return Result("preview, memory, peak", int(peak[1]) / 1024, "MB")


def _psql(database: Database, directory: Path, statement: str) -> None:
    runtime = Runtime.in_cache(local_settings.parse(os.environ, Path.home()).cache_dir)
    admin = urlsplit(database.admin_url)
    address = admin._replace(netloc=f"{admin.username}@{admin.hostname}:{admin.port}").geturl()
    command = runtime.sandbox.command(directory, ("psql", "-Xq", "-d", address, "-c", statement))
    environment = {"PATH": "/usr/bin:/bin", "PGPASSWORD": unquote(admin.password or "")}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def _question(hosts: Sequence[str], start: datetime, end: datetime, **more: Any) -> bytes:
    who: dict[str, Any] = {"host_id": hosts[0]} if len(hosts) == 1 else {"selector": {}}
    rule = {"metric": "cpu", "threshold": 90, "clear_threshold": 80, "duration": 300}
    return json.dumps({**who, **rule, "from": start.isoformat(), "to": end.isoformat(), **more}).encode()


async def _fill(admin: Any, sizes: Sizes, end: datetime) -> None:
    """Samples as they come, in the order of time: a host's rows lie far apart."""
    await admin.execute(
        "INSERT INTO hosts (id, name) SELECT 'host-' || n, 'host-' || n FROM generate_series(0, $1::int - 1) AS n",
        sizes.preview_hosts,
    )
    await admin.execute("SET session_replication_role = replica")
    for day in range(max(sizes.preview_long_days, sizes.preview_days), 0, -1):
        begin = end - timedelta(days=day)
        number = sizes.preview_hosts if day <= sizes.preview_days else 1
        await admin.execute(_FILL, begin, begin + timedelta(days=1), number)
    await admin.execute("SET session_replication_role = origin")
    await admin.execute("VACUUM ANALYZE metrics")


async def _token(admin: Any) -> str:
    token = new_token(TokenKind.API)
    await admin.execute(
        "WITH operator AS (INSERT INTO users (email, password, role) VALUES ('bench@example.org', '-', 'operator')"
        " RETURNING id) INSERT INTO api_tokens (user_id, name, role, token_hash, expires_at)"
        " SELECT id, 'bench', 'operator', $1, now() + INTERVAL '1 hour' FROM operator",
        token_hash(token),
    )
    return token
