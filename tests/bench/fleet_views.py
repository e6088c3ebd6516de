"""What the API makes of a fleet's configurations, against the bare count of the same arrays."""

import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from bench.drifting_fleet import EVERY, FleetPlan, fill
from bench.http import Client
from bench.plans import explain
from bench.reads import reader_token
from bench.reference import settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from records import MASTER_SECRET
from stack import Service, fresh_database

_MOST_SECONDS = 1.0
_BARE = """
SELECT fact, count(*) FROM (
    SELECT unnest(facts) AS fact FROM hosts CROSS JOIN LATERAL (
        SELECT facts FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1
        ORDER BY timestamp DESC, id DESC LIMIT 1) AS seen) AS each
GROUP BY 1
"""
_BARE_HOSTS = """
SELECT hosts.id, seen.id FROM hosts CROSS JOIN LATERAL (
    SELECT id FROM snapshots WHERE host_id = hosts.id AND timestamp <= $1
    ORDER BY timestamp DESC, id DESC LIMIT 1) AS seen
"""


async def measure_fleet_views(setting: Setting) -> list[Result]:
    """Every view of a fleet with a year of history, now and as of half a year ago."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with fresh_database(setting.stack) as database:
        async with database.admin() as admin:
            plan = await fill(admin, setting.sizes, end)
            token = await reader_token(admin)
        settle(database)
        environment = {**database.environment("api"), "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET}
        api = Service("api", setting.directory, environment, "serve").start()
        try:
            async with Client(api.port, token) as client, database.connect("api") as connection:
                return await _Bench(setting, client, connection, plan, end).run()
        finally:
            api.stop()


class _Bench:
    """Asks each question some times; in between, the database alone is asked what the answer stands on."""

    def __init__(self, setting: Setting, client: Client, connection: Any, plan: FleetPlan, end: datetime) -> None:
        self._rounds = setting.sizes.fleet_views_rounds
        self._hosts = setting.sizes.fleet_views_hosts
        self._client, self._connection, self._plan = client, connection, plan
        self._now, self._then = end, end - timedelta(days=182)

    async def run(self) -> list[Result]:
        hosts, packages = f"{self._hosts:,} hosts", f"{self._plan.packages:,} packages"
        now, then = {"at": _text(self._now)}, {"at": _text(self._then)}
        week = {"from": _text(self._now - EVERY), "to": _text(self._now)}
        count, listed = (_BARE, "bare count by asyncpg"), (_BARE_HOSTS, "ids by asyncpg")
        goal = Goal(Of.VALUE, Sense.AT_MOST, _MOST_SECONDS)
        return [
            await self._measure(f"fleet of {hosts}, {packages}", "fleet", now, count, goal),
            await self._measure("fleet in 10 groups", "fleet", {**now, "group_by": "group"}, count, goal),
            await self._measure("fleet half a year ago", "fleet", then, count, goal),
            await self._measure("every host half a year ago", "fleet/hosts", {**then, "limit": 1000}, listed, goal),
            await self._measure("hosts that deviate, a page", "fleet/deviations", now, count),
            await self._measure("who had a package", "packages", {**then, "name": "package-0020"}, count),
            await self._measure("rollouts of two weeks", "rollouts", week, count),
        ]

    async def _measure(
        self, name: str, path: str, query: dict[str, Any], bare: tuple[str, str], goal: Goal | None = None
    ) -> Result:
        statement, called = bare
        at = self._then if query.get("at") == _text(self._then) else self._now
        address = f"/api/v1/drift/{path}?{urlencode(query)}"
        # The first time, so that what is measured finds the pages in memory.
        items = len(json.loads(await self._client.get(address))["items"])
        assert items > 0, f"{address} found nothing"
        before = await self._median(lambda: self._connection.fetch(statement, at))
        value = await self._median(lambda: self._client.get(address))
        after = await self._median(lambda: self._connection.fetch(statement, at))
        detail = {"items": items, "plan_of_reference": asdict(await explain(self._connection, statement, at))}
        return Result(f"API, {name}", value, "s", Reference(called, (before + after) / 2), goal, detail)

    async def _median(self, ask: Callable[[], Awaitable[object]]) -> float:
        taken = []
        for _ in range(self._rounds):
            began = time.monotonic()
            await ask()
            taken.append(time.monotonic() - began)
        return statistics.median(taken)


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
