"""Load of snapshots: hosts whose configuration changes by chance, and what was acknowledged of it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from faults.drift_verdicts import Sighting
from infrawatch_common.drift.content import Content
from ledger import Load
from snapshots import debian_packages, snapshot, upgraded

_PACKAGES = debian_packages(30)
_PARTS = ("os_info", "kernel", "packages", "env_vars")
Part = Mapping[str, Any]


@dataclass
class SnapshotLoad(Load):
    """Sends snapshots and remembers the contents of those that were acknowledged."""

    sightings: list[Sighting] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return self.topics.snapshots

    def next_record(self, host: str, **changes: Any) -> dict[str, Any]:
        """The next snapshot of a host, taken now; ``Changing`` gives hosts configurations that change."""
        self._sequence[host] += 1
        return snapshot(host, self._sequence[host], datetime.now(UTC), packages={"dpkg": _PACKAGES}, **changes)

    def note(self, record: dict[str, Any]) -> None:
        super().note(record)
        self.sightings.append(sighting(record))


def sighting(record: Mapping[str, Any]) -> Sighting:
    """What drift must keep of a valid record."""
    content = Content(*(record[part] for part in _PARTS))
    return Sighting(record["host_id"], datetime.fromisoformat(record["timestamp"]), UUID(record["id"]), content)


class Changing:
    """Has each host's configuration change by chance; ``length`` is how many snapshots one lasts on average.

    Half of the changes go back to what was before.
    """

    def __init__(self, seed: int, length: float) -> None:
        self._chance = random.Random(seed)
        self._turns = 1 / length
        self._now: dict[str, Part] = {}
        self._before: dict[str, Part] = {}

    def __call__(self, record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        host = record["host_id"]
        now = self._now.setdefault(host, {part: record[part] for part in _PARTS})
        if self._chance.random() < self._turns:
            back = self._before.get(host) if self._chance.random() < 0.5 else None
            self._before[host], self._now[host] = now, back or self._changed(now)
        return [{**record, **self._now[host]}]

    def _changed(self, now: Part) -> Part:
        """One thing is different, or a few packages are."""
        number = self._chance.randrange(10**6)
        dpkg = now["packages"]["dpkg"]
        kinds: Sequence[Part] = (
            {"kernel": f"6.12.{number}+deb13-amd64"},
            {"os_info": f"Debian GNU/Linux 13 (trixie), build {number}"},
            {"env_vars": {**now["env_vars"], "LANG": f"C.{number}"}},
            {"env_vars": {**now["env_vars"], f"NEW_{number % 10}": "1"}},
            {"env_vars": {"LANG": "C.UTF-8"}},
            {"packages": {**now["packages"], f"python:/opt/{number % 3}": {"pip": f"25.{number}"}}},
            {"packages": {"dpkg": dpkg}},
            {"packages": {**now["packages"], "dpkg": {**dpkg, f"local-{number % 10}": "1.0-1"}}},
            {"packages": {**now["packages"], "dpkg": _PACKAGES}},
            {"packages": {**now["packages"], "dpkg": {**dpkg, **_some(upgraded(_PACKAGES, 3, number))}}},
        )
        return {**now, **self._chance.choice(kinds)}


def _some(packages: Mapping[str, str]) -> dict[str, str]:
    """Those that differ from what a host has at first."""
    return {name: version for name, version in packages.items() if _PACKAGES[name] != version}
