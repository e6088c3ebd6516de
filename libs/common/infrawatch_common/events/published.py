"""What services publish for other systems; ``schemas/events/`` is generated from these models.

Services make the bodies themselves; tests hold them against the schemas. More fields may come.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel

from infrawatch_common.alerts.engine import Ended
from infrawatch_common.alerts.rules import Comparison, Metric
from infrawatch_common.drift.changes import Action, Category, Direction
from infrawatch_common.events.records import HostId, Timestamp

Severity = Literal["info", "warning", "critical"]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _AlertEvent(_Event):
    id: UUID = Field(description="The same when it fires and when it ends, whoever finds it.")
    alert_id: UUID
    version: int = Field(ge=1, description="Of the rule; what follows is as that version has it.")
    host_id: HostId
    name: str
    metric: Metric
    comparison: Comparison
    threshold: float | None = Field(description="Null for heartbeats.")
    severity: Severity
    since: Timestamp = Field(description="From when on the condition was true, by the samples' own time.")
    fired_at: Timestamp
    value: float | None = Field(description="Of the sample with which it fired; null for heartbeats.")
    found_at: Timestamp = Field(description="When alerting found it.")
    late: bool = Field(description="Found long after it happened, as after an outage.")


class AlertFired(_AlertEvent):
    """A rule fires for a host."""

    event: Literal["fired"]


class AlertResolved(_AlertEvent):
    """It fires no longer."""

    event: Literal["resolved"]
    resolved_at: Timestamp
    resolved_value: float | None
    resolved_reason: Ended


class AlertEvent(RootModel[Annotated[AlertFired | AlertResolved, Field(discriminator="event")]]):
    """What fired or ended, on ``infrawatch.alert-events.v1``."""


class DriftEvent(_Event):
    """A difference between two successive snapshots of a host, on ``infrawatch.drift-events.v1``."""

    event: Literal["changed", "revised", "withdrawn"] = Field(
        description="It was found; it is told anew, as a late snapshot shows it; it did not happen so."
    )
    id: UUID = Field(description="The same whoever finds it.")
    host_id: HostId
    snapshot_id: UUID = Field(description="The snapshot that shows it first.")
    not_before: Timestamp = Field(description="When the host was last seen as it was before.")
    at: Timestamp = Field(description="When it was first seen changed, by its own clock.")
    found_at: Timestamp = Field(description="When the drift service found it.")
    late: bool = Field(description="Found long after it happened, or in between what was known.")
    category: Category
    source: str = Field(description="Of packages; empty for all others.")
    name: str = Field(description="Empty for a source.")
    action: Action
    direction: Direction | None = Field(description="Of a version; null where versions have no order.")
    before: str | None = Field(description="Null where it was not there, and for a source; secrets are hidden.")
    after: str | None = Field(description="Null where it is not there, and for a source; secrets are hidden.")
    packages_before: int | None = Field(ge=0, description="Packages of a source before; null for all others.")
    packages_after: int | None = Field(ge=0, description="Packages of a source after; null for all others.")
    severity: Severity
    reason: str = Field(description="Of the severity.")
