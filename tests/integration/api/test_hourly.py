"""Buckets from hourly figures: the same answer as from raw samples, and longer."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet import START, add_host, add_hour, add_samples

HOUR = timedelta(hours=1)

ROLL_UP = """
INSERT INTO metrics_hourly
SELECT host_id, date_trunc('hour', timestamp, 'UTC'), count(*), min(cpu), avg(cpu), max(cpu), min(memory), avg(memory),
       max(memory), min(disk), avg(disk), max(disk), last(uptime, timestamp)
FROM metrics GROUP BY 1, 2
"""


async def buckets(world: Any, token: str, **query: Any) -> list[Any]:
    answer = await world.get("/api/v1/hosts/web-1/metrics", token, params=query)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json()["items"]
    return items


def rounded(items: list[Any]) -> list[Any]:
    return [
        {
            name: {k: round(v, 9) for k, v in value.items()} if isinstance(value, dict) else value
            for name, value in item.items()
        }
        for item in items
    ]


@pytest.fixture
async def host(world: Any) -> Any:
    """A host with 50 hours of samples."""
    rng = random.Random(1)
    await add_host(world, "web-1")
    await add_samples(world, "web-1", *sorted(rng.uniform(0, 50 * 3600) for _ in range(700)))
    return world


RANGES: list[tuple[str, str, str]] = [
    ("2026-11-22T10:00:00Z", "2026-11-24T12:00:00Z", "1h"),
    ("2026-11-22T10:20:00Z", "2026-11-24T07:45:13Z", "1h"),
    ("2026-11-22T10:20:00Z", "2026-11-24T07:45:13Z", "7h"),
    ("2026-11-20T00:00:00Z", "2026-11-26T00:00:00Z", "1d"),
    ("2026-11-22T12:10:00Z", "2026-11-22T12:50:00Z", "1h"),
    ("2026-11-22T12:50:00Z", "2026-11-22T13:10:00Z", "1h"),
]


async def test_hourly_figures_answer_as_raw_samples_do_however_much_is_rolled_up(host: Any) -> None:
    viewer = await host.signed_in("viewer")
    raw = [rounded(await buckets(host, viewer, **{"from": f, "to": t, "bucket": b})) for f, t, b in RANGES]
    assert all(sum(item["count"] for item in items) for items in raw)
    await host.admin.execute(ROLL_UP)
    for remaining in (20, 0):
        await host.admin.execute(
            "DELETE FROM rollup_pending WHERE hour IN (SELECT hour FROM rollup_pending ORDER BY random() OFFSET $1)",
            remaining,
        )
        rolled = [rounded(await buckets(host, viewer, **{"from": f, "to": t, "bucket": b})) for f, t, b in RANGES]
        assert rolled == raw


async def test_an_hour_that_is_marked_is_read_raw_and_one_that_is_not_is_read_from_its_figures(world: Any) -> None:
    await add_host(world, "web-1")
    for number in range(3):
        await add_hour(world, "web-1", START + HOUR * number, count=100 + number)
    await add_samples(world, "web-1", 3600, 3660)
    query = {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T13:00:00Z", "bucket": "1h"}
    items = await buckets(world, await world.signed_in("viewer"), **query)
    assert [item["count"] for item in items] == [100, 2, 102]


async def test_hours_outlive_their_samples_and_narrower_buckets_say_so(host: Any) -> None:
    viewer = await host.signed_in("viewer")
    query = {"from": "2026-11-22T10:30:00Z", "to": "2026-11-24T12:00:00Z"}
    await host.admin.execute(ROLL_UP)
    await host.admin.execute("DELETE FROM rollup_pending")
    before = await buckets(host, viewer, **query, bucket="1d")
    dropped = datetime.fromisoformat("2026-11-24T00:00:00Z")
    await host.admin.execute("SELECT drop_chunks('metrics', older_than => $1::timestamptz)", dropped)
    await host.admin.execute("INSERT INTO maintenance VALUES ('metrics dropped', $1)", dropped)

    after = await buckets(host, viewer, **query, bucket="1d")
    first_hour = await host.admin.fetchval("SELECT count FROM metrics_hourly WHERE hour = $1", START)
    assert [item["count"] for item in after][1:] == [item["count"] for item in before][1:]
    assert 0 <= after[0]["count"] - before[0]["count"] < first_hour, "an hour without samples is counted whole"

    for narrow in ({"bucket": "5m"}, {"bucket": "90m"}, {}):
        answer = await host.get("/api/v1/hosts/web-1/metrics", viewer, params={**query, **narrow})
        assert answer.status_code == 400
        [error] = answer.json()["errors"]
        assert error["field"] == "from"
        assert "2026-11-24T00:00:00Z" in error["message"]
    still = {"from": "2026-11-24T00:00:00Z", "to": "2026-11-24T12:00:00Z", "bucket": "5m"}
    assert sum(item["count"] for item in await buckets(host, viewer, **still))
