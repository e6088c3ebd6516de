"""What the agent costs the host that it runs on, beside node_exporter."""

import asyncio
import signal
import statistics
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

import psutil

from agents import agent_environment
from bench.draining import MEGABYTE
from bench.figures import Point, after_warm_up, slope
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from infrawatch_local import settings as local_settings
from infrawatch_local.ports import LOOPBACK, free_ports
from infrawatch_local.probes import http_ok
from infrawatch_local.program import Component, Program
from infrawatch_local.stack import Server
from infrawatch_local.tree import Runtime
from stack import Service, fresh_topics

_INTERVAL = 10.0  # seconds, of the agent as it comes; the figures are for it
_SAMPLES_A_SNAPSHOT = 60
_MOST_PSS = 32.0
_MOST_CPU = 0.2
_MOST_GROWTH = 1.0  # percent an hour
_WARM_UP = 15  # samples
_NAME = "node_exporter"
_SYS = Path("/sys")  # it reads there, and the sandbox has none


class NodeExporter(Component):
    """Prometheus' node_exporter as Debian configures it."""

    def __init__(self, runtime: Runtime, directory: Path, port: int) -> None:
        self._runtime = runtime
        self._directory = directory
        self.port = port

    @property
    def name(self) -> str:
        return _NAME

    @property
    def ports(self) -> Mapping[str, int]:
        return {_NAME: self.port}

    def program(self) -> Program:
        command = ("prometheus-node-exporter", f"--web.listen-address={LOOPBACK}:{self.port}", "--log.level=error")
        return Program(
            name=_NAME,
            command=self._runtime.sandbox.command(self._directory, command, {_SYS: str(_SYS)}),
            stop_signal=signal.SIGTERM,
            sandboxed=True,
        )

    def is_ready(self) -> bool:
        return http_ok(self.port, "/metrics")


@dataclass
class _Watched:
    """A process: its memory by time, and its processor time."""

    process: psutil.Process
    memory: list[Point] = field(default_factory=list)
    _began: tuple[float, float] = (0.0, 0.0)

    def begin(self) -> None:
        """Forget what the start has cost."""
        self.memory.clear()
        self._began = time.monotonic(), self._cpu()

    def note_memory(self) -> None:
        self.memory.append((time.monotonic(), self.process.memory_full_info().pss / MEGABYTE))

    @property
    def pss(self) -> float:
        """Most of it, in MB."""
        return max(megabytes for _, megabytes in self.memory)

    @property
    def rss(self) -> float:
        """What it would be if no other process shared any of it, in MB."""
        return float(self.process.memory_info().rss / MEGABYTE)

    def cpu_seconds(self) -> float:
        """Since ``begin``, with that of the programs that it has run."""
        return self._cpu() - self._began[1]

    def growth(self, simulated_seconds: float) -> float:
        """Percent by which memory grows in an hour of simulated time, after the first quarter."""
        real = time.monotonic() - self._began[0]
        a_second = slope(after_warm_up(self.memory)) * real / simulated_seconds
        return 100 * a_second * 3600 / statistics.median(megabytes for _, megabytes in self.memory)

    def course(self, moments: int = 9) -> list[float]:
        """MB from the first to the last."""
        last = len(self.memory) - 1
        return [round(self.memory[last * moment // (moments - 1)][1], 2) for moment in range(moments)]

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)


async def measure_agent(setting: Setting) -> list[Result]:
    """An hour's samples and snapshots at the shortest interval, with node_exporter scraped as often."""
    sizes = setting.sizes
    topics = await fresh_topics(setting.stack)
    exporter = _node_exporter(setting.directory)
    server = Server(exporter, setting.directory / "log")
    environment = agent_environment(
        topics,
        setting.directory,
        interval=sizes.agent_interval,
        snapshot_interval=max(10, sizes.agent_interval * _SAMPLES_A_SNAPSHOT),
        python_interpreters="/usr/bin/python3",
    )
    server.start()
    agent = Service("agent", setting.directory, environment, "run").start()
    try:
        ours, theirs = _Watched(psutil.Process(agent.pid)), _Watched(psutil.Process(server.pid))
        await _repeat(exporter.port, ours, theirs, _WARM_UP, sizes.agent_interval)
        ours.begin()
        theirs.begin()
        before = agent.metric("infrawatch_agent_samples_total")
        await _repeat(exporter.port, ours, theirs, sizes.agent_samples, sizes.agent_interval)
        samples = int(agent.metric("infrawatch_agent_samples_total") - before)
        snapshots = int(agent.metric("infrawatch_agent_snapshots_total"))
        return _results(ours, theirs, samples, {"samples": samples, "snapshots": snapshots})
    finally:
        agent.stop()
        server.stop()


def _results(ours: _Watched, theirs: _Watched, samples: int, counted: Mapping[str, int]) -> list[Result]:
    simulated = samples * _INTERVAL
    detail = {**counted, "agent_rss_mb": round(ours.rss, 1), "node_exporter_rss_mb": round(theirs.rss, 1)}
    return [
        Result("agent, memory (PSS)", ours.pss, "MB", Reference(_NAME, theirs.pss), _at_most(_MOST_PSS), detail),
        Result(
            "agent, processor at 10 s",
            100 * ours.cpu_seconds() / simulated,
            "% of a core",
            Reference(_NAME, 100 * theirs.cpu_seconds() / simulated),
            _at_most(_MOST_CPU),
            {"ms_a_sample": round(1000 * ours.cpu_seconds() / samples, 2)},
        ),
        Result(
            "agent, growth of memory",
            ours.growth(simulated),
            "%/h",
            goal=_at_most(_MOST_GROWTH),
            detail={
                "course_mb": ours.course(),
                _NAME: {"growth": round(theirs.growth(simulated), 1), "course_mb": theirs.course()},
            },
        ),
    ]


def _at_most(bound: float) -> Goal:
    return Goal(Of.VALUE, Sense.AT_MOST, bound)


async def _repeat(port: int, ours: _Watched, theirs: _Watched, times: int, interval: float) -> None:
    """Scrape node_exporter at every interval, and note the memory of both."""
    begin = time.monotonic()
    for number in range(1, times + 1):
        await asyncio.to_thread(_scrape, port)
        ours.note_memory()
        theirs.note_memory()
        await asyncio.sleep(begin + number * interval - time.monotonic())


def _scrape(port: int) -> None:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=5) as response:
        response.read()


def _node_exporter(directory: Path) -> NodeExporter:
    runtime = Runtime.in_cache(local_settings.parse(environ, Path.home()).cache_dir)
    place = directory / "node-exporter"
    place.mkdir(exist_ok=True)
    return NodeExporter(runtime, place, free_ports(1)[0])
