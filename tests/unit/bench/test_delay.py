from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import webhooks
from bench.delay import Course, results_of
from bench.exporter import exposition
from bench.steps import THRESHOLD, Steps

STEPS = Steps(begin=1000.0, period=20.0)


@given(st.integers(0, 199), st.integers(1, 50), st.floats(0.001, 9.999))
def test_a_value_is_high_for_half_a_period_after_each_rise(host: int, count: int, later: float) -> None:
    rise = STEPS.rise(host, count)
    assert STEPS.count(host, rise + later) == count
    assert STEPS.value(host, rise + later) >= THRESHOLD
    assert STEPS.value(host, rise + 10 + later) < THRESHOLD


def test_before_the_beginning_nothing_is_high_and_then_every_host_rises_once_in_a_period() -> None:
    assert all(STEPS.count(host, 999.9) == 0 for host in range(200))
    assert all(STEPS.value(host, 999.9) < THRESHOLD for host in range(200))
    rises = sorted(STEPS.rise(host, 1) for host in range(200))
    assert 1000 <= rises[0] < rises[-1] < 1020
    assert max(later - earlier for earlier, later in pairwise(rises)) < 0.3


def test_the_exporter_says_what_the_agents_measure() -> None:
    at = STEPS.rise(1, 2) + 0.5
    lines = exposition(STEPS, 2, at).splitlines()
    assert lines[1:] == [f'bench_cpu{{host="host-{host}"}} {STEPS.value(host, at)}' for host in range(2)]
    assert lines[2].endswith(" 95.0")


def record(host: int, at: float, number: int) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    return {"id": str(number), "host_id": f"host-{host}", "timestamp": stamp, "cpu": STEPS.value(host, at)}


def fired(host: int, at: float) -> dict[str, Any]:
    event = {"host_id": f"host-{host}", "fired_at": datetime.fromtimestamp(at, UTC).isoformat()}
    return {"items": [{"what": "fired", "event": event}, {"what": "resolved", "event": event}]}


async def test_delays_count_from_the_first_sample_over_the_threshold_its_acknowledgement_and_the_change() -> None:
    course = Course(STEPS)
    rise = STEPS.rise(3, 1)
    samples = [record(3, rise + after, number) for number, after in enumerate((-0.5, 0.25, 1.25, 11, 20.75))]
    for one in samples:
        course.sent(one)
    assert not course.acknowledged
    for one in samples:
        course.acknowledge(one)
    steps = list(course.acknowledged)
    assert [at.timestamp() for _, at in steps] == pytest.approx([rise + 0.25, rise + 20.75])
    course.acknowledged = {steps[0]: rise + 0.26, steps[1]: rise + 20.76}
    course.receive(fired(3, rise + 0.25), rise + 0.3)
    assert not await course.all_received()
    course.receive(fired(3, rise + 0.25), rise + 9)
    course.receive(fired(3, rise + 20.75), rise + 20.7)
    assert await course.all_received()
    delays = course.delays()
    assert delays["acknowledged"] == pytest.approx([40, 0], abs=0.1)
    assert delays["sampled"] == pytest.approx([50, -50], abs=0.1)
    assert delays["changed"] == pytest.approx([300, 700], abs=0.1)


async def test_theirs_count_from_the_change_and_what_is_told_again_counts_once() -> None:
    course = Course(STEPS)
    for host in range(200):
        message = {"alerts": [{"status": "firing", "labels": {"host": f"host-{host}"}}]}
        rise = STEPS.rise(host, 1)
        course.receive_theirs(message, rise + 0.5)
        course.receive_theirs(message, rise + 1.5)
        assert await course.theirs_until(STEPS.rise(199, 1)) is (host == 199)
    course.receive_theirs({"alerts": [{"status": "resolved", "labels": {"host": "host-0"}}]}, 1500)
    assert course.their_delays() == pytest.approx([500] * 200)


def test_the_goals_are_about_ours_and_about_half_of_theirs() -> None:
    course = Course(STEPS)
    rise = STEPS.rise(0, 1)
    course.sent(record(0, rise + 0.1, 1))
    course.acknowledge(record(0, rise + 0.1, 1))
    (step,) = course.acknowledged
    course.acknowledged[step] = rise + 0.11
    course.receive(fired(0, rise + 0.1), rise + 0.2)
    course.receive_theirs({"alerts": [{"status": "firing", "labels": {"host": "host-0"}}]}, rise + 0.5)
    results = results_of(course)
    assert [result.met for result in results] == [True, True, True, None, None, None]
    assert results[2].ratio == pytest.approx(0.2)
    assert results[4].ratio == pytest.approx(0.4)


async def test_webhooks_are_taken_whole_and_told_apart() -> None:
    taken: list[tuple[str, Any]] = []
    ours, theirs = (lambda message, _at, name=name: taken.append((name, message)) for name in ("ours", "theirs"))
    async with webhooks.webhooks(ours, theirs) as url, aiohttp.ClientSession() as client:
        for path in (webhooks.OURS, webhooks.THEIRS):
            async with client.post(url + path, json={"path": path}) as response:
                assert response.status == 204
    assert taken == [("ours", {"path": webhooks.OURS}), ("theirs", {"path": webhooks.THEIRS})]
