"""``status``: one row per program."""

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from infrawatch_local.plan import make_plan
from infrawatch_local.program import Component
from infrawatch_local.settings import Settings
from infrawatch_local.supervisor import Supervisor


@dataclass(frozen=True)
class Row:
    """What is told about a program."""

    name: str
    state: str
    pid: str
    port: str
    uptime: str
    restarts: str
    health: str


_HEADINGS = Row(*(heading.upper() for heading in Row.__dataclass_fields__))


def rows(settings: Settings) -> list[Row]:
    """The rows in the order of the start."""
    supervisor = Supervisor.of(settings)
    return [_row(supervisor, component) for component in make_plan(settings).components]


def all_well(shown: Sequence[Row]) -> bool:
    """Whether every program runs and is ready."""
    return all(row.state == "running" and row.health == "ready" for row in shown)


def table(shown: Sequence[Row]) -> str:
    """The rows with headings, in columns."""
    lines = [astuple(row) for row in (_HEADINGS, *shown)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in padded)


def duration(seconds: float) -> str:
    """A duration in at most two units: ``45s``, ``3m 7s``, ``2h 5m``, ``4d 1h``."""
    whole = max(int(seconds), 0)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2])


def _row(supervisor: Supervisor, component: Component) -> Row:
    state, main = supervisor.state(component), supervisor.main_process(component)
    port = str(next(iter(component.ports.values())))
    if state is None:
        return Row(component.name, "stopped", "-", port, "-", "-", "-")
    if main is None:
        return Row(component.name, "restarting", "-", port, "-", str(state.restarts), "-")
    return Row(
        name=component.name,
        state="running",
        pid=str(main.pid),
        port=port,
        uptime=duration(time.time() - state.since),
        restarts=str(state.restarts),
        health="ready" if component.is_ready() else "not ready",
    )
