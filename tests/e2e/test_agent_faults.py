"""The agent while the broker is away, its disk is full or read-only, and after it was killed."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from aiokafka import TopicPartition

from agents import HOST, agent_environment, reading
from infrawatch_agent.identity import CurrentIdentity, load_identity
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.sender import Outgoing, Sender
from infrawatch_agent.settings import parse
from infrawatch_local.stack import Stack
from stack import Service, Topics, eventually

MakeService = Callable[..., Service]
# A private mount namespace; without root's rights in a user namespace, in which everybody may mount.
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
NSENTER = ["nsenter", "--mount", *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]
DROPPED = 'infrawatch_agent_dropped_total{reason="%s"}'


async def sequences(topics: Topics) -> dict[str, list[int]]:
    """Instance → sequence numbers on the topic, sorted; one that was sent twice counts once."""
    found: dict[str, set[int]] = {}
    async with reading(topics.metrics, topics) as consumer:
        partitions = [
            TopicPartition(topics.metrics, number) for number in consumer.partitions_for_topic(topics.metrics)
        ]
        for _ in range(sum((await consumer.end_offsets(partitions)).values())):
            stamp = json.loads((await consumer.getone()).value or b"")["agent"]
            found.setdefault(stamp["instance"], set()).add(stamp["sequence"])
    return {instance: sorted(numbers) for instance, numbers in found.items()}


def metric_reaches(agent: Service, name: str, value: float) -> Callable[[], Any]:
    async def reached() -> bool:
        return agent.metric(name) >= value

    return reached


def problem(agent: Service, check: str) -> str:
    return str(agent.health().get("checks", {}).get(check))


async def test_after_an_outage_every_sample_arrives_whatever_was_killed_meanwhile(
    stack: Stack, topics: Topics, service: MakeService, tmp_path: Path
) -> None:
    agent = service("agent", agent_environment(topics, tmp_path, backfill_rate=1000, send_timeout=3), "run").start()
    await eventually(metric_reaches(agent, "infrawatch_agent_sent_total", 2))
    before = psutil.Process(agent.pid).memory_info().rss
    stack.kafka.kill()
    await eventually(metric_reaches(agent, "infrawatch_agent_spool_records", 5))
    await eventually(lambda: _disconnected(agent))
    assert psutil.Process(agent.pid).memory_info().rss <= 1.2 * before
    for _ in range(2):
        waiting = agent.metric("infrawatch_agent_spool_records")
        agent.kill()
        with (tmp_path / "agent" / "spool.sqlite-wal").open("ab") as log:
            log.write(b"\xff" * 5000)  # what a write that never ended leaves
        agent.launch()
        await eventually(lambda: _answers(agent))
        await eventually(metric_reaches(agent, "infrawatch_agent_spool_records", waiting + 2))
    stack.kafka.start()
    await eventually(lambda: _recovered(agent))
    assert agent.stop() == 0
    arrived = await sequences(topics)
    assert len(arrived) == 3
    for instance, numbers in arrived.items():
        assert numbers == list(range(len(numbers))), f"a sample of {instance} is missing"


async def _disconnected(agent: Service) -> bool:
    return "no broker is connected" in problem(agent, "kafka")


async def _recovered(agent: Service) -> bool:
    return agent.health().get("status") == "ready" and agent.metric("infrawatch_agent_spool_records") == 0


async def _answers(agent: Service) -> bool:
    return bool(agent.health())


async def test_a_full_disk_silences_no_host_and_what_is_lost_is_counted(
    stack: Stack, topics: Topics, service: MakeService, tmp_path: Path
) -> None:
    environment = agent_environment(topics, tmp_path, memory_max_bytes=1000, backfill_rate=1000, send_timeout=3)
    state = tmp_path / "small"
    state.mkdir()
    environment["INFRAWATCH_STATE_DIRECTORY"] = str(state)
    mount = 'mount -t tmpfs -o size=600k tmpfs "$0" && cp "$1"/identity.json "$0" && shift && exec "$@"'
    agent = service(
        "agent", environment, "run", within=[*UNSHARE, "sh", "-c", mount, str(state), str(tmp_path / "agent")]
    ).start()
    await eventually(metric_reaches(agent, "infrawatch_agent_sent_total", 2))

    filler = Path(f"/proc/{agent.pid}/root{state}/filler")
    fill(filler)
    await eventually(lambda: _unwritable(agent))
    assert "is full" in problem(agent, "spool")
    sent = agent.metric("infrawatch_agent_sent_total")
    await eventually(metric_reaches(agent, "infrawatch_agent_sent_total", sent + 3))
    stack.kafka.kill()
    await eventually(metric_reaches(agent, DROPPED % "spool_not_writable", 2), within=90)
    stack.kafka.start()
    empty(filler)

    await eventually(lambda: _recovered(agent))
    dropped = int(agent.metric(DROPPED % "spool_not_writable"))
    assert agent.stop() == 0
    [numbers] = (await sequences(topics)).values()
    assert len(set(range(max(numbers))) - set(numbers)) == dropped


async def test_an_outage_leaves_no_producer_behind_that_repeats_its_requests(
    stack: Stack, topics: Topics, tmp_path: Path
) -> None:
    """An idempotent producer of aiokafka never gives up what is in flight, not even when it is stopped."""
    settings = parse(agent_environment(topics, tmp_path, send_timeout=1))
    outbox = Outbox(tmp_path / "spool.sqlite", settings.spool_max_bytes, settings.memory_max_bytes)
    current = CurrentIdentity(settings, load_identity(settings))
    sender = Sender(settings, outbox, Outgoing(HOST, current), Metrics())
    before = len(asyncio.all_tasks())
    sending = asyncio.create_task(sender.run())

    async def sent() -> bool:
        return sender.problem is None and outbox.records == 0

    async def failed() -> bool:
        return sender.problem is not None

    for number in range(2):
        outbox.put(topics.metrics, b"%d" % number)
        sender.wake()
        await eventually(sent)
        stack.kafka.kill()
        outbox.put(topics.metrics, b"in flight")
        sender.wake()
        await eventually(failed)
        stack.kafka.start()
        await eventually(sent)

    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    async def nothing_is_left() -> bool:
        return len(asyncio.all_tasks()) <= before

    await eventually(nothing_is_left)
    outbox.close()


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def empty(path: Path) -> None:
    path.unlink()


async def _unwritable(agent: Service) -> bool:
    return agent.metric("infrawatch_agent_spool_writable") == 0


async def test_a_read_only_disk_silences_no_host(topics: Topics, service: MakeService, tmp_path: Path) -> None:
    environment = agent_environment(topics, tmp_path, snapshot_interval=10)
    state = environment["INFRAWATCH_STATE_DIRECTORY"]
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    agent = service("agent", environment, "run", within=[*UNSHARE, "sh", "-c", mount, state])
    agent.launch()
    await eventually(lambda: _answers(agent))
    await eventually(metric_reaches(agent, "infrawatch_agent_sent_total", 3))
    assert "cannot be used" in problem(agent, "spool")
    mend = [*NSENTER, "--target", str(agent.pid), "mount", "-o", "remount,bind,rw", state]
    assert await (await asyncio.create_subprocess_exec(*mend)).wait() == 0

    async def ready() -> bool:
        return agent.health().get("status") == "ready" and agent.metric("infrawatch_agent_spool_writable") == 1

    await eventually(ready)
    assert agent.stop() == 0
    [numbers] = (await sequences(topics)).values()
    assert numbers == list(range(len(numbers)))
