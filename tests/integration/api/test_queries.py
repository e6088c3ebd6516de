"""Questions about many hosts at once."""

import random
from typing import Any

import pytest

from fleet import START, add_host, add_samples

QUERY = "/api/v1/metrics/query"
SPAN = {"from": "2026-11-22T10:00:00Z", "to": "2026-11-23T10:00:00Z"}


@pytest.fixture
async def fleet(world: Any) -> Any:
    """Six hosts; the cpu of number n counts up from n samples ago, so that larger numbers rank higher."""
    rng = random.Random(2)
    for number in range(6):
        tags = {"env": "prod" if number % 2 else "test"} if number else {}
        await add_host(world, f"web-{number}", tags=tags, retired=START if number == 5 else None)
        offsets = sorted(rng.uniform(0, 86_400) for _ in range(30 * (number + 1)))
        await add_samples(world, f"web-{number}", *offsets)
    return world


async def ask(world: Any, **query: Any) -> Any:
    return await world.get(QUERY, await world.signed_in("viewer"), params={**SPAN, **query})


async def test_samples_of_many_hosts_come_in_pages_each_once(fleet: Any) -> None:
    token, items, cursor = await fleet.signed_in("viewer"), [], None
    while True:
        params = {**SPAN, "limit": 37, **({"cursor": cursor} if cursor else {})}
        answer = (await fleet.get(QUERY, token, params=params)).json()
        items += answer["items"]
        if (cursor := answer["next_cursor"]) is None:
            break
    keys = [(item["host_id"], item["timestamp"], item["id"]) for item in items]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) == 30 * (1 + 2 + 3 + 4 + 5), "those of retired hosts are left out"


@pytest.mark.parametrize(
    ("who", "hosts"),
    [
        ({"host": "web-1"}, ["web-1"]),
        ({"host": ["web-3", "web-1", "none"]}, ["web-1", "web-3"]),
        ({"tag": "env:test"}, ["web-2", "web-4"]),
        ({"tag": "env:test", "host": "web-1"}, []),
        ({"host": "web-5"}, []),
    ],
)
async def test_hosts_are_chosen_by_name_and_tag(fleet: Any, who: dict[str, Any], hosts: list[str]) -> None:
    items = (await ask(fleet, **who, limit=10_000)).json()["items"]
    assert sorted({item["host_id"] for item in items}) == hosts


async def test_the_hosts_with_the_greatest_means_come_first_with_every_bucket(fleet: Any) -> None:
    answer = await ask(fleet, bucket="10m", top=3)
    groups = answer.json()["items"]
    assert [group["group"] for group in groups] == ["web-4", "web-3", "web-2"]
    assert [group["mean"] for group in groups] == pytest.approx([74.5, 59.5, 44.5])
    for group in groups:
        assert len(group["points"]) == 144
        assert all((point["count"] == 0) == (point["value"] is None) for point in group["points"])
    assert sum(point["count"] for point in groups[0]["points"]) == 150


async def test_hosts_are_grouped_by_the_value_of_a_tag(fleet: Any) -> None:
    groups = (await ask(fleet, bucket="1d", group_by="env")).json()["items"]
    assert [(group["group"], group["hosts"]) for group in groups] == [("test", 2), ("prod", 2), (None, 1)]
    assert sum(point["count"] for group in groups for point in group["points"]) == 30 * 15


async def test_hourly_figures_rank_as_raw_samples_do_however_much_is_rolled_up(fleet: Any) -> None:
    query = {"from": "2026-11-22T10:25:00Z", "to": "2026-11-23T03:41:00Z", "bucket": "3h", "metric": "cpu"}
    raw = (await ask(fleet, **query)).json()["items"]
    await fleet.admin.execute(
        "INSERT INTO metrics_hourly SELECT host_id, date_trunc('hour', timestamp, 'UTC'), count(*), min(cpu), avg(cpu),"
        " max(cpu), 1, 1, 1, 1, 1, 1, 1 FROM metrics GROUP BY 1, 2"
    )
    for remaining in (25, 0):
        await fleet.admin.execute(
            "DELETE FROM rollup_pending WHERE (host_id, hour) IN"
            " (SELECT host_id, hour FROM rollup_pending ORDER BY random() OFFSET $1)",
            remaining,
        )
        rolled = (await ask(fleet, **query)).json()["items"]
        assert [(group["group"], group["mean"]) for group in rolled] == [
            (group["group"], pytest.approx(group["mean"])) for group in raw
        ]
        assert [[point["count"] for point in group["points"]] for group in rolled] == [
            [point["count"] for point in group["points"]] for group in raw
        ]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"host": "a b"}, "host"),
    ({"tag": "env"}, "tag"),
    ({"metric": "uptime; DROP TABLE hosts", "bucket": "1h"}, "metric"),
    ({"metric": "cpu"}, "metric"),
    ({"top": 3}, "top"),
    ({"bucket": "1h", "limit": 3}, "limit"),
    ({"bucket": "1h", "top": 0}, "top"),
    ({"bucket": "1h", "group_by": "a\0"}, "group_by"),
    ({"bucket": "10s", "top": 5}, "top"),
    ({"cursor": "x"}, "cursor"),
]


async def test_bad_questions_are_refused_by_field(fleet: Any) -> None:
    for query, field in BAD:
        answer = await ask(fleet, **query)
        assert answer.status_code == 400, query
        assert [error["field"] for error in answer.json()["errors"]] == [field], query


async def test_a_question_about_too_many_hosts_is_refused(make_world: Any) -> None:
    world = await make_world(query_hosts_max=2)
    for number in range(3):
        await add_host(world, f"web-{number}")
    answer = await ask(world)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "tag"
    assert (await ask(world, host=["web-0", "web-1"])).status_code == 200


async def test_a_question_that_no_host_fits_has_an_empty_answer(world: Any) -> None:
    for query in ({}, {"bucket": "1h"}, {"bucket": "5m"}):
        answer = await world.get(QUERY, await world.signed_in("viewer"), params={**SPAN, **query})
        assert answer.json() == {"items": [], "next_cursor": None}
