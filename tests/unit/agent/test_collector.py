"""What the collector makes of a host, whatever the host's clock and configuration are."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infrawatch_agent.collector import Collector
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.settings import parse
from infrawatch_common.events import MetricRecord, SnapshotRecord, decode


class Made:
    """A collector with its outbox; ``now`` is the wall clock."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        values = {"state_directory": directory, "python_interpreters": "/nowhere", **settings}
        parsed = parse({f"INFRAWATCH_{name.upper()}": str(value) for name, value in values.items()})
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC)
        self.metrics = Metrics()
        self.outbox = Outbox(directory / "spool.sqlite", 8_000_000, 100_000)
        self.collector = Collector(parsed, "host", self.outbox, self.metrics, lambda: None, lambda: self.now)

    def records(self, model: Any) -> list[Any]:
        topic = f"infrawatch.{'metrics' if model is MetricRecord else 'snapshots'}.v1"
        return [decode(model, entry.body) for entry in self.outbox.live(1000) if entry.topic == topic]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    made: list[Made] = []

    def one(**settings: Any) -> Made:
        made.append(Made(tmp_path, **settings))
        return made[-1]

    yield one
    for each in made:
        each.outbox.close()


# A day, the years 2100 and 1970, and before 1970.
JUMPS = [timedelta(days=days) for days in (1, -1, 27_000, -20_783, -21_000)]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_jumps_changes_the_stamps_and_nothing_else(
    make: Callable[..., Made], jump: timedelta
) -> None:
    made = make()
    for step in (timedelta(0), jump, -jump):
        made.now += step
        await made.collector._sample()
        await made.collector._snapshot()
    samples = made.records(MetricRecord)
    assert [sample.agent.sequence for sample in samples] == [0, 1, 2]
    start = datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert [sample.timestamp for sample in samples] == [start, start + jump, start]
    assert max(sample.uptime for sample in samples) - min(sample.uptime for sample in samples) <= 5
    assert [snapshot.timestamp for snapshot in made.records(SnapshotRecord)] == [start, start + jump, start]
    assert made.collector.sample_problem() is None


async def test_a_megabyte_of_configuration_is_sent(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        monkeypatch.setenv(f"BIG_{number}", "some words " * 350)
    made = make(env_whitelist="BIG_*")
    await made.collector._snapshot()
    assert made.collector.snapshot_problem is None
    [snapshot] = made.records(SnapshotRecord)
    assert len(snapshot.env_vars) == 300
    assert 1_000_000 < made.outbox.size < 1_900_000


async def refused(made: Made) -> str:
    await made.collector._snapshot()
    assert made.metrics.snapshots_refused_total == 1
    assert made.metrics.snapshots_total == 0
    assert made.outbox.records == 0
    return str(made.collector.snapshot_problem)


async def test_ten_megabytes_are_refused_with_the_reason_and_the_next_that_fits_is_sent(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(env_whitelist="BIG_*", env_variables_max=100_000)
    monkeypatch.setattr(os, "environ", {f"BIG_{number}": "some words " * 350 for number in range(3000)})
    problem = await refused(made)
    assert "at most 1900000 are sent" in problem
    assert "INFRAWATCH_SNAPSHOT_MAX_BYTES" in problem
    monkeypatch.undo()
    await made.collector._snapshot()
    assert made.collector.snapshot_problem is None
    assert made.records(SnapshotRecord)[0].agent.sequence == 0, "what was refused leaves no gap"


async def test_fifty_thousand_variables_are_refused_with_the_reason(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(env_whitelist="*")
    monkeypatch.setattr(os, "environ", {f"V{number}": "x" for number in range(50_000)})
    problem = await refused(made)
    assert "environment variables; at most 5000 are sent" in problem


async def test_a_name_that_the_contract_refuses_costs_no_snapshot(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("""#!/bin/sh\nprintf '{"a\\\\u0000b": "1", "\\\\ud800": "2", "": "3", "%05000d": "4"}' 7\n""")
    python.chmod(0o755)
    monkeypatch.setenv("ODD", os.fsdecode(b"caf\xe9"))
    made = make(env_whitelist="ODD", python_interpreters=str(python), host_name="h\udc80")
    await made.collector._snapshot()
    [snapshot] = made.records(SnapshotRecord)
    assert sorted(snapshot.packages[f"python:{python}"].values()) == ["1", "2", "3", "4"]
    assert snapshot.env_vars == {"ODD": "caf\ufffd"}
    assert snapshot.host.name == "h\ufffd"


async def test_a_source_that_fails_is_told_and_the_next_snapshot_is_sent(
    make: Callable[..., Made], tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    python.chmod(0o755)
    made = make(python_interpreters=str(python))
    await made.collector._snapshot()
    assert "ended with 3: broken" in str(made.collector.snapshot_problem)
    python.write_text("#!/bin/sh\necho '{}'\n")
    await made.collector._snapshot()
    assert made.collector.snapshot_problem is None
    assert len(made.records(SnapshotRecord)) == 1
