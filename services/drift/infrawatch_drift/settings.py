"""Settings of drift; those that it shares with other services are in ``infrawatch_common.settings``."""

import json
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from infrawatch_common.drift.default_rules import DEFAULT
from infrawatch_common.drift.reading_rules import rules_from
from infrawatch_common.drift.severity import Outcome, Rules
from infrawatch_common.settings import JobSettings, LatenessSettings, SnapshotSettings, variable

# A record that the broker got that long ago may come again: what it keeps records for, by default.
_DAYS_ON_TOPIC = 7


class Settings(SnapshotSettings, JobSettings, LatenessSettings):
    """What drift can be told."""

    # A batch takes three; what is published, the job and the health check one each.
    database_pool_size: int = Field(7, ge=6, le=100, description="Most connections that one process opens.")
    # Snapshots are large: the bytes bound a batch before the number does.
    kafka_fetch_max_bytes: int = Field(
        6 * 1024 * 1024,
        ge=64 * 1024,
        le=256 * 1024 * 1024,
        description="Most bytes that a fetch brings; a larger record comes alone. Memory grows by some 30 times of it.",
    )
    batch_max_records: int = Field(500, ge=1, le=50_000, description="Most records in one transaction.")
    http_port: int = Field(28083, ge=0, le=65535, description="Port of health checks and metrics.")
    drift_rules: str | None = Field(
        None,
        description="How much changes matter: a JSON list of rules (docs/drift.md), best in a file that"
        " INFRAWATCH_DRIFT_RULES_FILE names; our own by default.",
    )
    drift_notify_severity: Literal["info", "warning", "critical", "none"] = Field(
        "warning",
        description="Least severity of a change that people are told of through channels; none: of no change.",
    )
    drift_events_topic: str = Field("infrawatch.drift-events.v1", description="Topic of changes.")
    facts_cached: int = Field(
        100_000,
        ge=0,
        le=10_000_000,
        description="Most things that snapshots say (a package in a version, a variable's value) whose ids a process"
        " remembers; 150 bytes each.",
    )
    sighting_retention_days: int = Field(
        45,
        ge=1,
        le=3650,
        description="Days after which of each unchanged stretch only the first and the last sighting are kept."
        " Snapshots and changes stay until they are deleted.",
    )

    @field_validator("drift_rules")
    @classmethod
    def _can_be_used(cls, text: str | None) -> str | None:
        _parsed(text)
        return text

    @model_validator(mode="after")
    def _late_snapshots_find_their_place(self) -> Self:
        least = self.snapshot_max_late_days + _DAYS_ON_TOPIC
        if self.sighting_retention_days <= least:
            msg = (
                f"{variable('sighting_retention_days')} ({self.sighting_retention_days}) must be more than {least},"
                f" {variable('snapshot_max_late_days')} and {_DAYS_ON_TOPIC} days on the topic together: a late"
                " snapshot may still split a stretch"
            )
            raise ValueError(msg)
        return self

    @property
    def rules(self) -> Rules:
        """How much changes matter."""
        return _parsed(self.drift_rules)

    @property
    def notify_severity(self) -> Outcome | None:
        """The least severity that is told; None: nothing is."""
        return None if self.drift_notify_severity == "none" else Outcome(self.drift_notify_severity)


def _parsed(text: str | None) -> Rules:
    if text is None:
        return DEFAULT
    try:
        written = json.loads(text)
    except ValueError as error:
        msg = f"it is not JSON: {error}"
        raise ValueError(msg) from error
    return rules_from(written)
