"""Settings of ingest; those that it shares with other services are in ``infrawatch_common.settings``."""

from pydantic import Field

from infrawatch_common.settings import ConsumerSettings


class Settings(ConsumerSettings):
    """What ingest can be told."""

    http_port: int = Field(28081, ge=0, le=65535, description="Port of health checks and metrics.")
    clock_tolerance: float = Field(
        300.0, ge=0, le=86_400, description="Seconds that a record may be stamped ahead of the broker's clock."
    )
    raw_retention_days: int = Field(
        30, ge=1, le=3650, description="Days that raw samples are kept; older records are refused."
    )
    last_seen_interval: float = Field(
        30.0, ge=0, le=3600, description="Seconds by which a sample must be newer for a host's last_seen to be written."
    )
