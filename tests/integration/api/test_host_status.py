"""What ``/hosts/{id}`` says about a host, from what ingest keeps."""

import json
from datetime import timedelta
from typing import Any

from fleet import START, add_host, add_stream

MINUTE = timedelta(minutes=1)


async def status(world: Any, host: str = "web-1") -> Any:
    answer = await world.get(f"/api/v1/hosts/{host}", await world.signed_in("viewer"))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_host_that_never_reported_is_new(world: Any) -> None:
    await add_host(world, "web-1")
    host = await status(world)
    assert (host["status"]["state"], host["status"]["received"], host["agent_runs"]) == ("new", 0, [])


async def test_a_silent_host_is_told_from_a_pipeline_that_stands_still(world: Any) -> None:
    now = world.clock.now
    for name in ("web-1", "web-2"):
        await add_host(world, name)
        await add_stream(world, name, begin=now - 60 * MINUTE, end=now - 10 * MINUTE)
    assert (await status(world))["status"]["state"] == "unknown"
    await add_stream(world, "web-2", begin=now - 9 * MINUTE, end=now)
    host = await status(world)
    assert (host["status"]["state"], (await status(world, "web-2"))["status"]["state"]) == ("silent", "up")
    assert host["status"]["since"] == (now - 10 * MINUTE).isoformat().replace("+00:00", "Z")


async def test_missing_records_are_counted_and_gaps_are_told_apart(world: Any) -> None:
    await add_host(world, "web-1")
    gaps = [
        {"first": 11, "last": 19, "after": START.isoformat(), "before": (START + MINUTE).isoformat()},
        {
            "first": 31,
            "last": 35,
            "after": (START + MINUTE * 2).isoformat(),
            "before": (START + 3 * MINUTE).isoformat(),
        },
    ]
    await add_stream(world, "web-1", "{[1,30],[33,40]}", json.dumps(gaps))
    host = await status(world)
    assert (host["status"]["received"], host["status"]["missing"]) == (38, 2)
    assert [(gap["kind"], gap["missing"]) for gap in host["status"]["gaps"]] == [("lost", 2), ("back_filled", 0)]
    assert [problem["kind"] for problem in host["status"]["problems"]] == ["records_missing"]
    assert [(run["received"], run["missing"]) for run in host["agent_runs"]] == [(38, 2)]


async def test_numbers_that_were_joined_stay_counted_as_missing(world: Any) -> None:
    await add_host(world, "web-1")
    await add_stream(world, "web-1", "{[1,100]}")
    await world.admin.execute("UPDATE host_streams SET settled_missing = 7")
    host = await status(world)
    assert (host["status"]["received"], host["status"]["missing"]) == (93, 7)


async def test_a_clone_and_refused_records_are_said(world: Any) -> None:
    await add_host(world, "web-1")
    await add_stream(world, "web-1")
    await add_stream(world, "web-1", begin=START + MINUTE)
    await world.admin.execute(
        "INSERT INTO dead_letters"
        ' (service, topic, partition, "offset", appended_at, host_id, reason, detail, created_at)'
        " SELECT 'ingest', 't', 0, n, now(), 'web-1', 'in_future', '', $1::timestamptz - make_interval(hours => n)"
        " FROM generate_series(1, 30) AS n",
        world.clock.now,
    )
    problems = {problem["kind"]: problem["detail"] for problem in (await status(world))["status"]["problems"]}
    assert problems.keys() == {"clone", "records_refused"}
    assert problems["records_refused"].startswith("24 records were refused in the last day: in_future")
