"""A topic full of signed snapshots, and the rows that they say."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench.backlog import PARTITIONS
from infrawatch_local.stack import Stack
from ledger import producer, send
from snapshots import debian_packages, snapshot, upgraded
from stack import Topics, fresh_topics

COLUMNS = ("id", "host_id", "timestamp", "os_info", "kernel", "packages", "env_vars")
PACKAGES = 1500  # of a host
CHANGED = PACKAGES // 100
_MEGABYTE = 27_000  # packages
_INTERVAL = timedelta(minutes=1)
_AT_A_TIME = 300

Packages = Mapping[str, str]
# What a host has installed, from the host's number and the how-manieth of its snapshots it is; 0 is the first.
Installed = Callable[[int, int], Packages]


@dataclass(frozen=True)
class SnapshotBacklog:
    """What is on a topic; ``rows`` is a CSV file of all records but each host's first."""

    hosts: int
    rounds: int  # of every host, after its first
    topics: Topics
    rows: Path

    @property
    def records(self) -> int:
        """All of them."""
        return self.hosts * (self.rounds + 1)

    @property
    def measured(self) -> int:
        """Records but for each host's first."""
        return self.hosts * self.rounds


def unchanged(_host: int, _number: int) -> Packages:
    """The same always, on every host."""
    return _installed(0)


def changed(_host: int, number: int) -> Packages:
    """A hundredth of the packages is upgraded from each snapshot to the next, the same on every host, as in a fleet."""
    return _installed(number)


def mixed(host: int, number: int) -> Packages:
    """Every second snapshot differs from the one before; every tenth host has a megabyte of packages."""
    return _large(number // 2) if host % 10 == 0 else _installed(number // 2)


class _Course:
    """What follows upon what; of each course the latest is remembered."""

    def __init__(self, packages: int) -> None:
        self._first = self._now = debian_packages(packages)
        self._number = 0

    def __call__(self, number: int) -> Packages:
        if number < self._number:
            self._now, self._number = self._first, 0
        while self._number < number:
            self._number += 1
            self._now = upgraded(self._now, len(self._now) // 100, self._number)
        return self._now


_installed, _large = _Course(PACKAGES), _Course(_MEGABYTE)


async def preload_snapshots(
    stack: Stack, hosts: int, rounds: int, installed: Installed, directory: Path
) -> SnapshotBacklog:
    """Put the records on a new topic; the time that it takes is nobody's result."""
    topics = await fresh_topics(stack, PARTITIONS)
    exchange = directory / "exchange"
    exchange.mkdir(exist_ok=True)
    rows = exchange / f"{topics.snapshots}.csv"
    with rows.open("w", newline="") as file:
        write = csv.writer(file).writerow
        async with producer(topics) as sending:
            records = _records(hosts, rounds, installed)
            while some := list(islice(records, _AT_A_TIME)):
                waiting = [await send(sending, topics, record) for record in some]
                for record in some:
                    if record["agent"]["sequence"]:
                        write(_row(record))
                for acknowledgement in waiting:
                    await acknowledgement
    return SnapshotBacklog(hosts, rounds, topics, rows)


def _records(hosts: int, rounds: int, installed: Installed) -> Iterator[dict[str, Any]]:
    start = datetime.now(UTC) - (rounds + 1) * _INTERVAL
    for number in range(rounds + 1):
        for host in range(hosts):
            packages = {"dpkg": installed(host, number)}
            yield snapshot(f"host-{host}", number, start + number * _INTERVAL, packages=packages)


def _row(record: Mapping[str, Any]) -> list[str]:
    values = (record[name] for name in COLUMNS)
    return [json.dumps(value) if isinstance(value, dict) else value for value in values]
