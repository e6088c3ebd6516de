"""Settings of ingest; those that it shares with other services are in ``infrawatch_common.settings``."""

from typing import Self

from pydantic import Field, model_validator

from infrawatch_common.settings import JobSettings, SampleSettings, variable
from infrawatch_ingest.domain.hours import MARK_HOLDS


class Settings(SampleSettings, JobSettings):
    """What ingest can be told."""

    http_port: int = Field(28081, ge=0, le=65535, description="Port of health checks and metrics.")
    last_seen_interval: float = Field(
        30.0, ge=0, le=3600, description="Seconds by which a sample must be newer for a host's last_seen to be written."
    )
    chunks_ahead_days: int = Field(
        3, ge=1, le=30, description="Days ahead for which the chunks of the samples are made."
    )
    rollup_delay: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="Seconds after an hour, and after the last late sample of it, until the rollup computes it.",
    )
    rollup_batch: int = Field(500, ge=1, le=10_000, description="Most hours of hosts that one transaction computes.")
    rollup_retention_days: int = Field(400, ge=1, le=36_500, description="Days that hourly figures are kept.")
    dead_letter_retention_days: int = Field(90, ge=1, le=36_500, description="Days that dead letters are kept.")
    stream_ranges_max: int = Field(
        100, ge=2, le=10_000, description="Most ranges of numbers kept of an agent's run; more are joined, and counted."
    )
    stream_gaps_max: int = Field(50, ge=1, le=1000, description="Most gaps kept of an agent's run; the latest stay.")
    streams_per_host: int = Field(100, ge=1, le=10_000, description="Most runs of agents kept of a host.")
    stream_retention_days: int = Field(
        30, ge=1, le=36_500, description="Days after its last record that an agent's run is kept."
    )

    @model_validator(mode="after")
    def _rollup_is_consistent(self) -> Self:
        least = MARK_HOLDS + self.database_timeout
        if self.rollup_delay <= least:
            msg = (
                f"{variable('rollup_delay')} ({self.rollup_delay:g} s) must be longer than {least:g} s, the time that a"
                f" mark holds and {variable('database_timeout')} together: a batch may still be on its way"
            )
            raise ValueError(msg)
        if self.rollup_retention_days < self.raw_retention_days:
            msg = (
                f"{variable('rollup_retention_days')} ({self.rollup_retention_days}) must not be less than"
                f" {variable('raw_retention_days')} ({self.raw_retention_days})"
            )
            raise ValueError(msg)
        return self
