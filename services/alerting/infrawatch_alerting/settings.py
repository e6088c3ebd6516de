"""Settings of alerting; those that it shares with other services are in ``infrawatch_common.settings``."""

from pydantic import Field

from infrawatch_common.settings import SampleSettings


class Settings(SampleSettings):
    """What alerting can be told."""

    http_port: int = Field(28082, ge=0, le=65535, description="Port of health checks and metrics.")
    reporting_interval: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds between two samples of a host until its own interval is known; three are a gap.",
    )
    late_after: float = Field(60.0, gt=0, le=86_400, description="Seconds after which what fires counts as found late.")
    rules_refresh: float = Field(
        30.0, gt=0, le=3600, description="Seconds after which changed rules and hosts are known at the latest."
    )
    blind_after: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds without a look at the end of the topic after which silence is no longer a host's.",
    )
    alert_log_size: int = Field(20, ge=0, le=1000, description="Latest events kept in the log of a rule.")
    alert_events_topic: str = Field("infrawatch.alert-events.v1", description="Topic of what fired and ended.")
