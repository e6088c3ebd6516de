"""Previews through the API, over samples in the real database."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet import add_host
from infrawatch_api.preview_worker import Job
from infrawatch_api.problems import ProblemError
from infrawatch_common.alerts.engine import Fired, Resolved, Rhythm
from infrawatch_common.alerts.rules import Comparison, Metric, Rule
from infrawatch_common.alerts.watching import Changes, HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp
from stack import eventually

PREVIEW = "/api/v1/alerts/preview"
CPU: dict[str, Any] = {"metric": "cpu", "selector": {}, "threshold": 90, "duration": 60}
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
STAMP = Stamp(uuid.uuid4(), 0)
METRICS = ("cpu", "memory", "disk", "uptime")

Course = list[tuple[datetime, float]]


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def store(world: Any, host: str, course: Course) -> None:
    """Samples whose four values are the same, in any order."""
    rows = [(uuid.uuid4(), host, at, value, value, value, int(value)) for at, value in course]
    random.Random(1).shuffle(rows)
    await world.admin.copy_records_to_table("metrics", records=rows)


def steady(begin: datetime, *values: float, every: timedelta = 10 * SECOND) -> Course:
    return [(begin + number * every, value) for number, value in enumerate(values)]


def eventful(seed: int, end: datetime) -> Course:
    """Two hours of whole numbers that stay for a while, with jitter, gaps and outages."""
    rng = random.Random(seed)
    course, at, value = [], end - 2 * HOUR, 50
    while at < end:
        if rng.random() < 0.15:
            value = rng.choice([20, 75, 85, 91, 95])
        course.append((at, float(value)))
        at += timedelta(seconds=rng.choice([9.5, 10, 10, 10, 10.5, 10] + [35] * (rng.random() < 0.1)))
        if rng.random() < 0.01:
            at += timedelta(seconds=rng.uniform(60, 900))
    return course


def live(rule: Rule, course: Course, until: datetime) -> list[tuple[Fired, Resolved | None]]:
    """What alerting finds in these samples, each as it comes."""
    watch = HostWatch("host", RuleSet([rule]), Rhythm(10 * SECOND))
    found: list[tuple[Fired, Resolved | None]] = []

    def note(changes: Changes | None) -> None:
        for change in changes or ():
            if isinstance(change.transition, Fired):
                found.append((change.transition, None))
            elif isinstance(change.transition, Resolved):
                found[-1] = (found[-1][0], change.transition)

    for at, value in sorted(course):
        note(watch.sample(Sample(uuid.uuid4(), "host", at, value, value, value, int(value), STAMP)))
    note(watch.silence(until))
    return found


class Operator:
    """An operator who asks."""

    def __init__(self, world: Any, token: str) -> None:
        self.world, self.token = world, token

    @property
    def now(self) -> datetime:
        moment: datetime = self.world.clock.now
        return moment

    async def ask(self, **fields: Any) -> Any:
        return await self.world.post(PREVIEW, self.token, json={**CPU, **fields})

    async def preview(self, **fields: Any) -> Any:
        answer = await self.ask(**fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, **fields: Any) -> tuple[str, str]:
        answer = await self.ask(**fields)
        assert answer.status_code == 400, answer.text
        [error] = answer.json()["errors"]
        return error["field"], error["message"]


async def operating(world: Any) -> Operator:
    return Operator(world, await world.signed_in("operator"))


@pytest.fixture
async def operator(world: Any) -> Operator:
    return await operating(world)


RULES: list[dict[str, Any]] = [
    {"metric": "cpu", "threshold": 90, "clear_threshold": 80, "duration": "PT1M"},
    {"metric": "memory", "threshold": 30, "comparison": "<", "duration": 30},
    {"metric": "disk", "threshold": 75, "comparison": ">", "duration": 0},
    {"metric": "uptime", "threshold": 20, "comparison": "<=", "duration": "PT2M"},
    {"metric": "heartbeat", "threshold": None, "duration": 90},
]


async def test_it_finds_what_alerting_finds_in_the_same_samples(operator: Operator) -> None:
    courses = {f"host-{number}": eventful(number, operator.now) for number in range(4)}
    for host, course in courses.items():
        await add_host(operator.world, host)
        await store(operator.world, host, course)
    begin, number = operator.now - 2 * HOUR, 0
    for asked in RULES:
        found = await operator.preview(**asked, **{"from": stamp(begin)})
        rule = Rule(
            *(uuid.uuid4(), 1, "r", Metric(asked["metric"])),
            duration={"PT1M": MINUTE, "PT2M": 2 * MINUTE}.get(asked["duration"]) or asked["duration"] * SECOND,
            comparison=Comparison(asked.get("comparison", ">=")),
            threshold=asked["threshold"],
            clear_threshold=asked.get("clear_threshold"),
        )
        expected = {
            (host, stamp(fired.since), stamp(fired.at), fired.value, resolved and stamp(resolved.at))
            for host, course in courses.items()
            for fired, resolved in live(rule, course, operator.now)
        }
        fields = ("host_id", "since", "fired_at", "value", "resolved_at")
        assert {tuple(event[field] for field in fields) for event in found["events"]} == expected
        assert found["total"]["events"] == len(found["events"]) == len(expected)
        assert found["samples"] == sum(map(len, courses.values()))
        number += len(expected)
    assert number > 100, "or this shows little"


async def test_one_host_of_many_is_read_as_all_of_them_are(operator: Operator) -> None:
    for number in range(30):
        await add_host(operator.world, f"host-{number}", tags={"rare": "yes"} if number == 7 else {})
        await store(operator.world, f"host-{number}", eventful(number, operator.now)[:200])
    of_all = await operator.preview()
    alone = await operator.preview(selector={"rare": "yes"})
    assert (of_all["hosts"], alone["hosts"]) == (30, 1)
    assert alone["events"] == [event for event in of_all["events"] if event["host_id"] == "host-7"] != []
    assert alone["by_host"] == [host for host in of_all["by_host"] if host["host_id"] == "host-7"]
    assert await operator.preview(host_id="host-7", selector=None) == alone


async def test_what_is_pending_or_fires_when_the_range_begins_is_known(operator: Operator) -> None:
    begin = operator.now - HOUR
    for host, since, until in (("firing", -600, 120), ("pending", -30, 120), ("over", -600, -10)):
        await add_host(operator.world, host)
        values = [95.0 if since <= second < until else 10.0 for second in range(-3600, 3600, 10)]
        await store(operator.world, host, steady(begin - HOUR, *values))
    found = await operator.preview(**{"from": stamp(begin)})
    events = {event["host_id"]: event for event in found["events"]}
    assert events["firing"]["fired_at"] == stamp(begin - 540 * SECOND)
    assert (events["firing"]["seconds"], events["firing"]["peak"]) == (120, 95)
    assert events["pending"]["fired_at"] == stamp(begin + 30 * SECOND)
    assert found["total"] == {
        "events": 1,
        "ongoing": 1,
        "hosts": 2,
        "seconds": 210,
        "flapping": 0,
        "events_per_day": pytest.approx(24),
    }
    assert [(host["host_id"], host["ongoing"], host["events"]) for host in found["by_host"]] == [
        ("firing", True, 0),
        ("pending", False, 1),
    ]


async def test_what_fires_when_the_range_ends_has_no_end(operator: Operator) -> None:
    await add_host(operator.world, "host-a")
    await store(operator.world, "host-a", steady(operator.now - HOUR, *[95.0] * 200))
    end = operator.now - HOUR + 10 * MINUTE
    found = await operator.preview(to=stamp(end), **{"from": stamp(end - HOUR)})
    [event] = found["events"]
    assert (event["fired_at"], event["resolved_at"]) == (stamp(end - 9 * MINUTE), None)
    assert event["seconds"] == 540
    assert found["by_host"][0]["firing"]
    assert (found["from"], found["to"]) == (stamp(end - HOUR), stamp(end))


async def test_silence_counts_from_the_last_sample_however_long_ago(operator: Operator) -> None:
    for host in ("silent", "never heard", "fine"):
        await add_host(operator.world, host.replace(" ", "-"))
    await store(operator.world, "silent", [(operator.now - 5 * DAY, 0)])
    await store(operator.world, "fine", steady(operator.now - 4 * HOUR, *[0.0] * 480, every=30 * SECOND))
    found = await operator.preview(metric="heartbeat", threshold=None, **{"from": stamp(operator.now - HOUR)})
    [event] = found["events"]
    assert (event["host_id"], event["fired_at"]) == ("silent", stamp(operator.now - 5 * DAY + MINUTE))
    assert found["total"]["ongoing"] == 1
    assert found["total"]["seconds"] == 3600


async def test_a_sweep_tells_of_each_combination_what_a_preview_of_it_tells(operator: Operator) -> None:
    for number in range(3):
        await add_host(operator.world, f"host-{number}")
        await store(operator.world, f"host-{number}", eventful(number, operator.now))
    tried = {"thresholds": [75, 91, 100], "durations": ["PT0S", "PT1M", 600]}
    found = await operator.preview(clear_threshold=80, sweep=tried)
    assert [(line["threshold"], line["clear_threshold"], line["duration"]) for line in found["sweep"]] == [
        (threshold, threshold - 10, duration) for threshold in (75, 91, 100) for duration in ("PT0S", "PT1M", "PT10M")
    ]
    assert len({line["events"] for line in found["sweep"]}) > 4
    for line in found["sweep"]:
        rule = {name: line[name] for name in ("threshold", "clear_threshold", "duration")}
        alone = await operator.preview(**rule)
        assert alone["total"] == {name: value for name, value in line.items() if name not in rule}


async def test_hosts_in_service_are_meant(operator: Operator) -> None:
    await add_host(operator.world, "host-a", tags={"env": "prod"})
    await add_host(operator.world, "host-b", tags={"env": "prod"}, retired=operator.now)
    assert (await operator.preview(selector={"env": "prod"}))["hosts"] == 1
    empty = await operator.preview(selector={"env": "test"}, sweep={"durations": [1]})
    assert (empty["hosts"], empty["samples"], empty["events"], len(empty["sweep"])) == (0, 0, [], 1)
    for host in ("host-b", "host-c"):
        assert await operator.refused(host_id=host, selector=None) == (
            "host_id",
            "should be the id of a host in service",
        )


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"metric": "swap"}, ["metric"]),
    ({"threshold": None}, ["threshold"]),
    ({"clear_threshold": 91}, ["clear_threshold"]),
    ({"selector": None}, ["selector"]),
    ({"duration": "P31D"}, ["duration"]),
    ({"from": "yesterday"}, ["from"]),
    ({"from": 7}, ["from"]),
    ({"to": "2026-11-22"}, ["to"]),
    ({"start": "2026-11-22T10:00:00Z"}, ["start"]),
    ({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:00Z"}, ["from"]),
    ({"sweep": {}}, ["sweep"]),
    ({"sweep": {"thresholds": []}}, ["sweep.thresholds"]),
    ({"sweep": {"durations": ["soon"]}}, ["sweep.durations.0"]),
    ({"sweep": {"durations": ["P31D"]}}, ["sweep.durations"]),
    ({"sweep": {"thresholds": list(range(11)), "durations": list(range(10))}}, ["sweep"]),
    ({"metric": "heartbeat", "threshold": None, "sweep": {"thresholds": [1]}}, ["sweep.thresholds"]),
]


async def test_what_is_wrong_with_a_question_is_said_by_field(operator: Operator) -> None:
    for fields, named in BAD:
        answer = await operator.ask(**fields)
        assert answer.status_code == 400, fields
        assert [error["field"] for error in answer.json()["errors"]] == named, fields


async def test_samples_that_are_gone_cannot_be_asked_about(operator: Operator) -> None:
    await operator.world.admin.execute(
        "INSERT INTO maintenance (task, reached) VALUES ('metrics dropped', $1)"
        " ON CONFLICT (task) DO UPDATE SET reached = excluded.reached",
        operator.now - DAY,
    )
    field, message = await operator.refused(**{"from": stamp(operator.now - 2 * DAY)})
    assert field == "from"
    assert stamp(operator.now - DAY) in message
    assert (await operator.preview())["from"] == stamp(operator.now - DAY)


async def test_too_much_at_once_is_refused_with_what_may_be_asked(make_world: Any) -> None:
    operator = await operating(await make_world(preview_samples_max=1000, query_hosts_max=2))
    for number in range(2):
        await add_host(operator.world, f"host-{number}")
        await store(operator.world, f"host-{number}", steady(operator.now - MINUTE, *[1.0] * 501, every=SECOND / 10))
    field, message = await operator.refused()
    assert field == "from"
    assert message.startswith("gives 7 days of 2 hosts, about 121,692 samples")
    short = {"from": stamp(operator.now - 10 * MINUTE)}
    assert (await operator.refused(**short))[1].startswith("gives more than 1,000 samples, since hosts report")
    assert (await operator.preview(**short, host_id="host-1", selector=None))["samples"] == 501
    await add_host(operator.world, "host-2")
    assert (await operator.refused(**short))[0] == "selector"


async def test_events_are_listed_up_to_a_bound_and_all_counted(make_world: Any) -> None:
    operator = await operating(await make_world(preview_events_max=3))
    await add_host(operator.world, "host-a")
    await store(operator.world, "host-a", steady(operator.now - HOUR, *[95.0, 10.0] * 20))
    found = await operator.preview(duration=0)
    assert [event["fired_at"] for event in found["events"]] == [
        stamp(operator.now - HOUR + seconds * SECOND) for seconds in (380, 360, 340)
    ]
    assert (found["total"]["events"], found["events_omitted"], found["total"]["flapping"]) == (20, 17, 19)


@asynccontextmanager
async def held(world: Any) -> AsyncIterator[None]:
    """Whoever reads samples waits."""
    async with world.admin.transaction():
        await world.admin.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
        yield


async def at_work(operator: Operator) -> Any:
    """A preview that is being worked out."""
    asking = asyncio.create_task(operator.ask())
    await eventually(lambda: _has_process(operator))
    return asking


async def _has_process(operator: Operator) -> bool:
    return bool(operator.world.api.previews._working)


async def test_a_preview_that_takes_too_long_is_given_up_and_the_next_one_works(make_world: Any) -> None:
    operator = await operating(await make_world(preview_timeout=1.5))
    await add_host(operator.world, "host-a")
    async with held(operator.world):
        answer = await operator.ask()
    assert answer.status_code == 503
    assert "INFRAWATCH_PREVIEW_TIMEOUT" in answer.json()["detail"]
    assert not operator.world.api.previews._working

    async def is_over() -> bool:
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'infrawatch-api-preview'"
        return bool(await operator.world.admin.fetchval(count) == 0)

    await eventually(is_over)
    await operator.preview()


async def test_only_so_many_previews_run_at_a_time_and_others_do_not_wait_for_them(operator: Operator) -> None:
    await add_host(operator.world, "host-a")
    async with held(operator.world):
        first = await at_work(operator)
        refused = await operator.ask()
        others = await operator.world.get("/api/v1/hosts", operator.token)
        assert not first.done()
    assert (refused.status_code, others.status_code, (await first).status_code) == (503, 200, 200)
    assert "INFRAWATCH_PREVIEWS_MAX" in refused.json()["detail"]
    assert refused.headers["retry-after"]
    assert (await operator.ask()).status_code == 200


async def test_a_preview_at_work_is_given_up_when_the_api_stops(operator: Operator) -> None:
    await add_host(operator.world, "host-a")
    async with held(operator.world):
        asking = await at_work(operator)
        [process] = operator.world.api.previews._working
        await operator.world.api.previews.close()
        assert process.returncode is not None
        assert (await asking).status_code == 503


async def test_a_process_that_ends_by_itself_costs_one_preview_at_most(operator: Operator) -> None:
    await add_host(operator.world, "host-a")
    await operator.preview()
    [process] = operator.world.api.previews._idle
    process.kill()
    await process.wait()
    await operator.preview()
    [process] = operator.world.api.previews._idle
    process.kill()  # and nobody has noticed yet
    assert (await operator.ask()).status_code in {200, 503}
    await operator.preview()


async def test_a_database_that_is_away_is_told_as_that(operator: Operator) -> None:
    now = operator.now
    rule = Rule(uuid.uuid4(), 1, "r", Metric.CPU, MINUTE, threshold=1)
    job = Job("postgresql://nobody@127.0.0.1:1/none", "", 1, ["a"], 1, [rule], now - DAY, now, SECOND, 1, 1)
    with pytest.raises(ProblemError) as refused:
        await operator.world.api.previews.run(job)
    assert refused.value.status == 503


async def test_processes_end_with_the_api(operator: Operator) -> None:
    await add_host(operator.world, "host-a")
    await operator.preview()
    [process] = operator.world.api.previews._idle
    await operator.world.api.previews.close()
    assert process.returncode == 0
