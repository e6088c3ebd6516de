"""Hosts and their samples."""

from datetime import datetime, timedelta
from typing import Any

from fleet import START, add_host, add_hour, add_samples, add_stream


async def all_items(world: Any, path: str, token: str, **query: Any) -> list[Any]:
    items: list[Any] = []
    cursor = None
    while True:
        answer = await world.get(path, token, params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if (cursor := answer.json()["next_cursor"]) is None:
            return items


async def ids(world: Any, query: str) -> list[str]:
    answer = await world.get(f"/api/v1/hosts?{query}", await world.signed_in("viewer"))
    assert answer.status_code == 200, answer.text
    return [host["id"] for host in answer.json()["items"]]


async def test_hosts_are_filtered_by_name_tags_and_retirement(world: Any) -> None:
    await add_host(world, "a", name="Web 100%", tags={"env": "prod", "url": "x:y"})
    await add_host(world, "b", name="web_2", tags={"env": "test"})
    await add_host(world, "c", tags={"env": "prod", "tier": "db"}, retired=START)

    assert await ids(world, "") == ["a", "b"]
    assert await ids(world, "name=WEB") == ["a", "b"]
    assert await ids(world, "name=0%25") == ["a"]
    assert await ids(world, "name=_") == ["b"]
    assert await ids(world, "name=%27%3B%20DROP%20TABLE%20hosts%3B--") == []
    assert await ids(world, "tag=env:prod") == ["a"]
    assert await ids(world, "tag=env:prod&tag=url:x:y") == ["a"]
    assert await ids(world, "tag=env:prod&tag=env:test") == []
    assert await ids(world, "retired=true") == ["c"]


async def test_hosts_come_in_pages_each_once(world: Any) -> None:
    for number in range(25):
        await add_host(world, f"host-{number:02}")

    found = await all_items(world, "/api/v1/hosts", await world.signed_in("viewer"), limit=4)

    assert [host["id"] for host in found] == [f"host-{number:02}" for number in range(25)]


async def test_a_host_is_shown_changed_and_retired(world: Any) -> None:
    await add_host(world, "web-1", tags={"env": "test"}, last_seen=START)
    await world.admin.execute("INSERT INTO host_keys (id, host_id) VALUES ('k1', 'web-1'), ('k2', 'other')")
    operator = await world.signed_in("operator")

    host = (await world.get("/api/v1/hosts/web-1", operator)).json()
    assert (host["name"], host["tags"], host["last_seen"]) == ("web-1", {"env": "test"}, "2026-11-22T10:00:00Z")

    changed = await world.call("PATCH", "/api/v1/hosts/web-1", operator, json={"tags": {"env": "prod"}})
    assert (changed.json()["name"], changed.json()["tags"]) == ("web-1", {"env": "prod"})

    for _ in range(2):
        assert (await world.call("DELETE", "/api/v1/hosts/web-1", operator)).status_code == 204
    assert (await world.get("/api/v1/hosts/web-1", operator)).json()["retired"] is not None
    keys = dict(await world.admin.fetch("SELECT id, revoked_at IS NOT NULL FROM host_keys"))
    assert keys == {"k1": True, "k2": False}
    assert len(await world.audit("host.retired")) == 2


async def test_a_purged_host_is_gone_with_all_that_it_reported_but_for_its_keys(world: Any) -> None:
    await add_host(world, "web-1")
    await add_host(world, "web-2")
    for host in ("web-1", "web-2"):
        await add_hour(world, host, START)
        await add_stream(world, host)
    await add_samples(world, "web-1", 0, 86_400)
    await add_samples(world, "web-2", 0)
    await world.admin.execute("INSERT INTO host_keys (id, host_id) VALUES ('k1', 'web-1')")
    await world.admin.execute(
        "INSERT INTO snapshots VALUES (gen_random_uuid(), 'web-1', now(), '', '', '{}', '{}', '', now())"
    )
    await world.admin.execute(
        "INSERT INTO alerts (host_id, metric, duration, name) VALUES ('web-1', 'heartbeat', '1 min', 'x')"
    )
    admin = await world.signed_in("admin")

    assert (await world.call("DELETE", "/api/v1/hosts/web-1?purge=true", admin)).status_code == 204

    assert (await world.get("/api/v1/hosts/web-1", admin)).status_code == 404
    assert (await world.call("DELETE", "/api/v1/hosts/web-1?purge=true", admin)).status_code == 404
    assert await world.admin.fetchval("SELECT revoked_at IS NOT NULL FROM host_keys")
    for table in ("metrics", "metrics_hourly", "host_streams"):
        assert await world.admin.fetch(f"SELECT DISTINCT host_id FROM {table}") == [("web-2",)]
    assert [row["target"] for row in await world.audit("host.purged")] == ["web-1"]


NO_HOSTS: list[str] = ["none", "%00", "a%0Ab", "x" * 129, "..%2F..", "a'b"]


async def test_a_host_that_is_not_there_is_a_404(world: Any) -> None:
    for host_id in NO_HOSTS:
        operator = await world.signed_in("operator")

        for method, path in (("GET", ""), ("GET", "/metrics"), ("GET", "/metrics?bucket=60"), ("DELETE", "")):
            answer = await world.call(method, f"/api/v1/hosts/{host_id}{path}", operator)
            assert answer.status_code == 404, (method, path, answer.text)
        assert (await world.call("PATCH", f"/api/v1/hosts/{host_id}", operator, json={"name": "x"})).status_code == 404


async def test_raw_samples_come_in_order_in_pages_each_once(world: Any) -> None:
    await add_host(world, "web-1")
    await add_host(world, "web-2")
    await add_samples(world, "web-1", *[second / 4 for second in range(40)], 5.0, 5.0)
    await add_samples(world, "web-2", 1)
    query = {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:09Z", "limit": 7}

    found = await all_items(world, "/api/v1/hosts/web-1/metrics", await world.signed_in("viewer"), **query)

    times = [datetime.fromisoformat(sample["timestamp"]) for sample in found]
    assert times == sorted(times)
    assert len({sample["id"] for sample in found}) == len(found) == 38
    assert found[0] == {**found[0], "timestamp": "2026-11-22T10:00:00Z", "cpu": 0.0, "memory": 50.0, "uptime": 1000}


async def test_the_last_hour_is_the_default(world: Any) -> None:
    await add_host(world, "web-1")
    await add_samples(world, "web-1", -3601, -3600, -1, 0, start=world.clock.now)

    answer = await world.get("/api/v1/hosts/web-1/metrics", await world.signed_in("viewer"))

    assert [sample["cpu"] for sample in answer.json()["items"]] == [1.0, 2.0]


async def test_buckets_tell_count_and_spread_and_show_gaps(world: Any) -> None:
    await add_host(world, "web-1")
    await add_samples(world, "web-1", 0, 30, 59.999999, 180, 299)
    query = {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:05:00Z", "bucket": "PT1M"}

    answer = await world.get("/api/v1/hosts/web-1/metrics", await world.signed_in("viewer"), params=query)
    buckets = answer.json()["items"]

    assert [bucket["count"] for bucket in buckets] == [3, 0, 0, 1, 1]
    assert buckets[0] == {
        "start": "2026-11-22T10:00:00Z",
        "count": 3,
        "cpu": {"min": 0.0, "avg": 1.0, "max": 2.0},
        "memory": {"min": 50.0, "avg": 50.0, "max": 50.0},
        "disk": {"min": 60.0, "avg": 60.0, "max": 60.0},
        "uptime": 1002,
    }
    assert buckets[1] == {
        "start": "2026-11-22T10:01:00Z",
        "count": 0,
        "cpu": None,
        "memory": None,
        "disk": None,
        "uptime": None,
    }


WIDTHS: list[str] = ["1d", "P1W", "7m", "3601", "90m"]


async def test_buckets_hold_every_sample_of_the_range_once(world: Any) -> None:
    await add_host(world, "web-1")
    offsets = [number * 977.3 for number in range(400)]
    await add_samples(world, "web-1", *offsets)
    query = {"from": "2026-11-22T10:00:01Z", "to": "2026-11-25T07:08:09+01:00"}
    within = [at for at in offsets if timedelta(seconds=1) <= timedelta(seconds=at) < timedelta(hours=68, seconds=489)]
    viewer = await world.signed_in("viewer")

    for bucket in WIDTHS:
        answer = await world.get("/api/v1/hosts/web-1/metrics", viewer, params={**query, "bucket": bucket})
        assert sum(item["count"] for item in answer.json()["items"]) == len(within)


BAD_RANGES: list[tuple[str, str]] = [
    ("from=yesterday", "from"),
    ("from=2026-11-22T10:00:00", "from"),
    ("from=0001-01-01T00:00:00Z", "from"),
    ("to=2026-13-01T00:00:00Z", "to"),
    ("from=2026-11-22T10:00:00Z&to=2026-11-22T10:00:00Z", "from"),
    ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
    ("bucket=0", "bucket"),
    ("bucket=PT", "bucket"),
    ("bucket=P1M", "bucket"),
    ("bucket=-5m", "bucket"),
    ("bucket=0.5", "bucket"),
    ("bucket=99999999999999999999", "bucket"),
    ("from=2026-11-01T00:00:00Z&to=2026-11-22T00:00:00Z&bucket=1s", "bucket"),
    ("bucket=5m&limit=5", "limit"),
    ("bucket=5m&cursor=x", "cursor"),
    ("limit=0", "limit"),
    ("limit=many", "limit"),
    ("cursor=nonsense", "cursor"),
    ("cursor=WyJhIl0", "cursor"),
]


async def test_bad_ranges_are_refused_by_field(world: Any) -> None:
    for query, field in BAD_RANGES:
        answer = await world.get(f"/api/v1/hosts/web-1/metrics?{query}", await world.signed_in("viewer"))

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json()["errors"]] == [field]


BAD_FILTERS: list[str] = ["tag=env", "tag=%00:a", "tag=:a", "name=%00", "retired=perhaps", "cursor=%00"]


async def test_bad_filters_are_refused_by_field(world: Any) -> None:
    for query in BAD_FILTERS:
        answer = await world.get(f"/api/v1/hosts?{query}", await world.signed_in("viewer"))

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [query.partition("=")[0]]


async def test_a_limit_beyond_the_most_means_the_most(make_world: Any) -> None:
    world = await make_world(page_size=2, page_size_max=3)
    for number in range(5):
        await add_host(world, f"host-{number}")
    viewer = await world.signed_in("viewer")

    assert len((await world.get("/api/v1/hosts", viewer)).json()["items"]) == 2
    assert len((await world.get("/api/v1/hosts?limit=1000", viewer)).json()["items"]) == 3


BAD_CHANGES: list[tuple[Any, str]] = [
    ({"tags": {"env": 5}}, "tags.env"),
    ({"tags": {"env": "a\u0000b"}}, "tags.env"),
    ({"name": ""}, "name"),
    ({}, "body"),
    ({"id": "other"}, "id"),
    ({"retired": None, "name": "x"}, "retired"),
    ([], "body"),
    ("text", "body"),
]


async def test_bad_changes_of_a_host_are_refused_by_field(world: Any) -> None:
    for body, field in BAD_CHANGES:
        answer = await world.call("PATCH", "/api/v1/hosts/web-1", await world.signed_in("operator"), json=body)

        assert answer.status_code == 400, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_latest_sample_of_every_host_in_service(world: Any) -> None:
    for name in ("a", "b", "c"):
        last_seen = START + timedelta(seconds=86_395) if name == "a" else None
        await add_host(world, name, name=name.upper(), last_seen=last_seen, retired=START if name == "c" else None)
    await add_samples(world, "a", 0, 86_400, 10)
    await add_samples(world, "c", 0)

    found = await all_items(world, "/api/v1/metrics/latest", await world.signed_in("viewer"), limit=1)

    assert [(item["host_id"], item["name"]) for item in found] == [("a", "A"), ("b", "B")]
    assert found[0]["timestamp"] == "2026-11-23T10:00:00Z"
    assert found[1]["timestamp"] is None
