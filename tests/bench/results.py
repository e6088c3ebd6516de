"""What a benchmark found, whether that is good enough, and how people and programs read it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Of(StrEnum):
    """What a goal is about."""

    VALUE = "value"
    RATIO = "ratio"


class Sense(StrEnum):
    """On which side of its bound a goal lies."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Goal:
    """What a result should reach."""

    of: Of
    sense: Sense
    bound: float

    def __str__(self) -> str:
        return f"{self.of} {self.sense} {self.bound:g}"

    def met_by(self, number: float) -> bool:
        """Whether this value, or ratio, is good enough."""
        return number >= self.bound if self.sense is Sense.AT_LEAST else number <= self.bound


@dataclass(frozen=True)
class Reference:
    """What a value is compared with: the same work, done by something else in the same minute; in the value's unit."""

    name: str
    value: float


@dataclass(frozen=True)
class Result:
    """One line of the table. ``detail`` goes into the JSON alone."""

    name: str
    value: float
    unit: str
    reference: Reference | None = None
    goal: Goal | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Value ÷ reference."""
        return self.value / self.reference.value if self.reference and self.reference.value else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without goal."""
        if self.goal is None:
            return None
        number = self.value if self.goal.of is Of.VALUE else self.ratio
        return number is not None and self.goal.met_by(number)

    def as_json(self, benchmark: str, measured_at: str) -> dict[str, Any]:
        """For programs; ``measured_at`` is RFC 3339."""
        return {
            "name": self.name,
            "benchmark": benchmark,
            "measured_at": measured_at,
            "value": self.value,
            "unit": self.unit,
            "reference": self.reference.name if self.reference else None,
            "reference_value": self.reference.value if self.reference else None,
            "ratio": self.ratio,
            "goal": {**asdict(self.goal), "text": str(self.goal)} if self.goal else None,
            "met": self.met,
            "detail": dict(self.detail),
        }


HEADER = f"{'measured':<44}{'value':>10} {'unit':<16}{'reference':<24}{'value':>10}{'ratio':>7}  goal"


def line(result: Result) -> str:
    """The result as a line under ``HEADER``."""
    reference = result.reference
    ratio = result.ratio
    verdict = {None: "", True: ", met", False: ", MISSED"}[result.met]
    return (
        f"{result.name:<44}{number(result.value):>10} {result.unit:<16}"
        f"{reference.name if reference else '':<24}{number(reference.value) if reference else '':>10}"
        f"{f'{ratio:.2f}' if ratio is not None else '':>7}  {result.goal or ''}{verdict}"
    ).rstrip()


def number(value: float) -> str:
    """Three digits that matter, or all digits of a whole number of thousands."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(path: Path, measured: Sequence[Mapping[str, Any]]) -> None:
    """Write results into a JSON list; those of benchmarks that did not run now stay, with the time of theirs."""
    ran = {item["benchmark"] for item in measured}
    earlier = json.loads(path.read_text()) if path.exists() else []
    others = [item for item in earlier if item.get("benchmark") and item["benchmark"] not in ran]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([*others, *measured], indent=2, ensure_ascii=False) + "\n")
