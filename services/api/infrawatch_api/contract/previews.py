"""Previews: what a rule that is not saved would have done."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from pydantic import Field, model_validator

from infrawatch_api.contract.alerts import NewAlert, Threshold
from infrawatch_api.contract.common import Body, Duration, Moment, Name


class Sweep(Body):
    """Thresholds and durations to try, each with each. Where one of the two is absent, the rule's own is taken; a clear
    threshold keeps its distance to the threshold.
    """

    thresholds: Annotated[list[Threshold], Field(min_length=1, max_length=1000)] | None = None
    durations: Annotated[list[Duration], Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "Sweep":
        if self.thresholds is None and self.durations is None:
            msg = "should name thresholds, durations or both"
            raise ValueError(msg)
        return self

    @property
    def times(self) -> list[timedelta] | None:
        """The durations, as they are after validation."""
        return None if self.durations is None else [one for one in self.durations if isinstance(one, timedelta)]


class NewPreview(NewAlert):
    """A rule as for a new alert, and the time to try it on: ``from`` up to ``to``, the last seven days by default.
    ``name``, ``severity`` and ``enabled`` change nothing.
    """

    name: Name = "preview"
    start: Annotated[Moment | None, Field(alias="from", description="RFC 3339 time.")] = None
    end: Annotated[Moment | None, Field(alias="to", description="RFC 3339 time, not included.")] = None
    sweep: Sweep | None = None


class PreviewCount(msgspec.Struct, frozen=True):
    """What a rule would have done in the range, for all hosts. ``events`` are the times that it began to fire, and
    ``ongoing`` those hosts for which it fired already when the range began; ``hosts`` are those with either.
    ``seconds`` are those of the range in which it fired, added up over hosts. An event is ``flapping`` when it came
    less than five minutes after the one before it, of the same host, had ended.
    """

    events: int
    ongoing: int
    hosts: int
    seconds: float
    flapping: int
    events_per_day: float


class PreviewHost(msgspec.Struct, frozen=True):
    """What the rule would have done for one host; ``firing`` is whether it fired when the range ended."""

    host_id: str
    events: int
    ongoing: bool
    firing: bool
    seconds: float
    flapping: int


class PreviewEvent(msgspec.Struct, frozen=True):
    """One time that the rule would have fired. ``since`` to ``resolved_value`` are as in alert events; ``resolved_at``
    is null when it still fired at the end of the range. ``peak`` is the value farthest beyond the threshold while it
    fired, null for a heartbeat. ``seconds`` are those within the range.
    """

    host_id: str
    since: datetime
    fired_at: datetime
    value: float | None
    peak: float | None
    resolved_at: datetime | None
    resolved_value: float | None
    seconds: float


class PreviewCombination(PreviewCount, frozen=True):
    """One combination of a sweep."""

    threshold: float | None
    clear_threshold: float | None
    duration: str


class Preview(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """What the rule would have done. ``hosts`` is how many it is for now, ``samples`` how many of theirs were read.
    ``by_host`` has all hosts with events or ``ongoing``, those that fired longest first. ``events`` are the newest, the
    newest first, and ``events_omitted`` how many more there were. ``sweep`` has a line for each combination.
    """

    start: datetime
    end: datetime
    hosts: int
    samples: int
    total: PreviewCount
    by_host: list[PreviewHost]
    events: list[PreviewEvent]
    events_omitted: int
    sweep: list[PreviewCombination]
