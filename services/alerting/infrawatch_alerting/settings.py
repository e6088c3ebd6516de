"""Settings of alerting; those that it shares with other services are in ``infrawatch_common.settings``."""

from pydantic import Field, SecretStr, field_validator

from infrawatch_common.notices.addresses import webhook_complaint
from infrawatch_common.settings import (
    JobSettings,
    LatenessSettings,
    RhythmSettings,
    SampleSettings,
    TargetSettings,
)


class Settings(SampleSettings, JobSettings, TargetSettings, RhythmSettings, LatenessSettings):
    """What alerting can be told."""

    # Two of them listen for changes all the time.
    database_pool_size: int = Field(8, ge=4, le=100, description="Most connections that one process opens.")
    # Of the records of a batch, alerting keeps each sample and its verdicts until the batch is written.
    batch_max_records: int = Field(5_000, ge=1, le=50_000, description="Most records in one transaction.")
    http_port: int = Field(28082, ge=0, le=65535, description="Port of health checks and metrics.")
    backfill_wait: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="Seconds of new samples of a host after which those that are missing before them come no more.",
    )
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
    notify_timeout: float = Field(
        10.0, gt=0, le=300, description="Seconds that a webhook may take to answer before it counts as failed."
    )
    apprise_timeout: float = Field(
        30.0, gt=0, le=300, description="Seconds that a message through Apprise may take before it counts as failed."
    )
    notify_concurrency: int = Field(
        8, ge=1, le=100, description="Most messages that are on their way to one channel at the same time."
    )
    notify_back_off_max: float = Field(
        300.0, ge=1, le=86_400, description="Longest time in seconds between two attempts to deliver a message."
    )
    notify_give_up_after: float = Field(
        86_400.0, ge=1, le=2_592_000, description="Seconds after which a message that cannot be delivered is given up."
    )
    delivery_retention_days: int = Field(
        90, ge=1, le=3650, description="Days that messages and the attempts to deliver them are kept."
    )
    alert_events_topic: str = Field("infrawatch.alert-events.v1", description="Topic of what fired and ended.")
    notify_response_max: int = Field(
        65_536, ge=0, le=16_777_216, description="Most bytes that are read of what a receiver answers; none are kept."
    )
    dead_man_url: SecretStr | None = Field(
        None, description="URL that is called while alerting is well, so that another system notices when it is not."
    )
    dead_man_interval: float = Field(60.0, ge=1, le=86_400, description="Seconds between two of these calls.")

    @field_validator("dead_man_url")
    @classmethod
    def _usable(cls, url: SecretStr | None) -> SecretStr | None:
        complaint = webhook_complaint(url.get_secret_value()) if url else None
        if complaint is not None:
            raise ValueError(complaint)
        return url
