"""Settings of the API; those that it shares with other services are in ``infrawatch_common.settings``."""

from ipaddress import ip_network
from pathlib import Path
from ssl import SSLError, create_default_context
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from infrawatch_api.domain.client_address import Network
from infrawatch_common.settings import (
    DatabaseSettings,
    HostKeySettings,
    KafkaAdminSettings,
    Names,
    RhythmSettings,
    ServiceSettings,
    TargetSettings,
    split_commas,
    variable,
)


def _networks(value: object) -> object:
    parts = split_commas(value)
    return [ip_network(part) if isinstance(part, str) else part for part in parts] if isinstance(parts, list) else parts


Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


def _certificates(value: str | None) -> str | None:
    if value is not None:
        try:
            create_default_context(cadata=value)
        except SSLError as error:
            msg = "should hold certificates in PEM"
            raise ValueError(msg) from error
    return value


class Settings(ServiceSettings, DatabaseSettings, HostKeySettings, KafkaAdminSettings, TargetSettings, RhythmSettings):
    """What the API can be told.

    Session lifetimes are those that NIST SP 800-63B-4 recommends at AAL2; password and login rules follow OWASP ASVS
    5.0 level 2, and the cost of a password hash is the second recommended option of RFC 9106.
    """

    http_port: int = Field(8080, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    allowed_hosts: Names = Field(
        (), description="Comma-separated host names that requests may be addressed to; any when empty."
    )
    trusted_proxies: Networks = Field(
        (), description="Comma-separated networks of proxies whose X-Forwarded-For is believed."
    )
    assets_directory: Path | None = Field(
        None, description="Where npm installed the browser libraries; node_modules beside the package by default."
    )
    request_body_max: int = Field(1_048_576, ge=1024, le=67_108_864, description="Most bytes of a request body.")

    database_pool_size: int = Field(8, ge=1, le=100, description="Most connections that one process opens.")
    database_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds after which a statement is given up, on both sides of the connection."
    )
    database_wait: float = Field(
        2.0, gt=0, le=2.5, description="Seconds without connection or first answer after which a request gets a 503."
    )

    session_idle_timeout: int = Field(3600, ge=60, le=604_800, description="Seconds without use that end a session.")
    session_lifetime: int = Field(
        86_400, ge=60, le=2_592_000, description="Seconds after which a session ends, used or not."
    )
    one_time_password_lifetime: int = Field(
        86_400, ge=60, le=604_800, description="Seconds in which a one-time password must be changed."
    )
    token_lifetime_max: int = Field(
        31_536_000, ge=60, le=315_360_000, description="Most seconds that an API token may be valid."
    )
    enrolment_lifetime_max: int = Field(
        2_592_000, ge=60, le=31_536_000, description="Most seconds that an enrolment token may be valid."
    )

    agent_kafka_bootstrap_servers: str | None = Field(
        None,
        min_length=3,
        description="Comma-separated HOST:PORT where agents reach Kafka by SASL_SSL. Where it is set, every host gets a"
        " user of its own at its enrolment, which the API makes by the INFRAWATCH_KAFKA_* settings.",
    )
    agent_kafka_ca: Annotated[str | None, AfterValidator(_certificates)] = Field(
        None,
        description="PEM certificates of the authority that agents are to trust at Kafka; the system's by default.",
    )
    agent_kafka_user_prefix: str = Field(
        "infrawatch-agent-",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="How agents' users begin. Users that begin so and belong to no key in use are deleted, so that two"
        " installations at one Kafka need different ones.",
    )
    agent_kafka_sweep_interval: float = Field(
        60.0, ge=1, le=3600, description="Seconds after which users of revoked keys are deleted at the latest."
    )

    throttle_window: int = Field(900, ge=1, le=86_400, description="Seconds in which failures are counted.")
    login_failures: int = Field(
        5, ge=1, le=1000, description="Failed logins to one account from one address that make further ones wait."
    )
    enrolment_failures: int = Field(
        10,
        ge=1,
        le=1000,
        description="Refused claims of enrolments, or proofs of keys, from one address that make further ones wait.",
    )

    host_key_overlap: int = Field(
        86_400, ge=0, le=2_592_000, description="Seconds that a host's old key stays valid once the new one is in use."
    )
    host_key_rotations: int = Field(5, ge=1, le=1000, description="Most new keys that one host gets in an hour.")
    host_key_clock_tolerance: int = Field(
        300, ge=1, le=86_400, description="Most seconds between a host's clock and ours when it proves its key."
    )

    password_min_length: int = Field(12, ge=8, le=64, description="Fewest characters of a new password.")
    password_min_strength: int = Field(
        3, ge=1, le=4, description="How hard to guess a new password must be, by zxcvbn's score from 0 to 4."
    )
    password_threads: int = Field(
        2, ge=1, le=64, description="Passwords that are hashed at a time; each takes the memory below."
    )
    password_queue_max: int = Field(32, ge=1, le=10_000, description="Most passwords that wait to be hashed.")
    argon2_time_cost: int = Field(3, ge=2, le=100, description="Passes of argon2id.")
    argon2_memory_cost: int = Field(65_536, ge=19_456, le=4_194_304, description="KiB of memory of argon2id.")
    argon2_parallelism: int = Field(4, ge=1, le=64, description="Lanes of argon2id.")

    page_size: int = Field(100, ge=1, le=10_000, description="Items of a page when the request names no limit.")
    page_size_max: int = Field(1000, ge=1, le=10_000, description="Most items of a page; larger limits mean this one.")
    points_max: int = Field(10_000, ge=1, le=100_000, description="Most samples of a page, and most buckets.")
    csv_rows_max: int = Field(100_000, ge=1, le=10_000_000, description="Most rows of a CSV file.")
    query_hosts_max: int = Field(1000, ge=1, le=100_000, description="Most hosts that one question may be about.")
    host_silent_after: float = Field(
        120.0, ge=1, le=86_400, description="Seconds without record after which a host counts as silent."
    )
    host_clock_tolerance: float = Field(
        30.0, ge=1, le=3600, description="Seconds by which a host's clock may be wrong, and its records late."
    )
    host_gap_settles_after: float = Field(
        3600.0, ge=0, le=2_592_000, description="Seconds after which missing records of a host count as lost."
    )
    alerts_max: int = Field(1000, ge=1, le=100_000, description="Most alert rules that there can be.")
    alert_duration_max: int = Field(
        2_592_000, ge=1, le=31_536_000, description="Most seconds that an alert rule's duration may be."
    )
    channels_max: int = Field(100, ge=1, le=1000, description="Most channels that there can be.")
    channel_routes_max: int = Field(100, ge=1, le=10_000, description="Most routes of a channel.")
    channel_interval_max: int = Field(
        2_592_000, ge=1, le=31_536_000, description="Most seconds that intervals of a channel may be."
    )
    match_ids_max: int = Field(
        1000, ge=1, le=100_000, description="Most hosts, and most alerts, that a route or a silence may name."
    )
    silences_max: int = Field(1000, ge=1, le=10_000, description="Most silences that can be in force or to come.")
    silence_duration_max: int = Field(
        2_592_000, ge=60, le=31_536_000, description="Most seconds that a silence may last."
    )
    previews_max: int = Field(
        1, ge=1, le=16, description="Most previews of alert rules at a time; each has a process of its own."
    )
    preview_timeout: float = Field(
        30.0, gt=0, le=600, description="Seconds after which a preview is given up, in the database too."
    )
    preview_samples_max: int = Field(
        10_000_000, ge=1, le=1_000_000_000, description="Most samples that one preview may read: hosts times time."
    )
    preview_sweep_max: int = Field(
        100, ge=1, le=10_000, description="Most combinations of threshold and duration in one preview."
    )
    preview_events_max: int = Field(
        1000, ge=0, le=100_000, description="Most events that a preview lists, the newest; all are counted."
    )
    drift_triage_max: int = Field(
        10_000, ge=1, le=100_000, description="Most changes that one request may pass the same verdict on."
    )
    drift_ignores_max: int = Field(200, ge=1, le=1000, description="Most ignore rules that there can be.")
    drift_ignore_globs_max: int = Field(
        100, ge=1, le=1000, description="Most sources, and most names, that an ignore rule may list."
    )
    drift_ignore_preview_days: int = Field(
        90, ge=1, le=3660, description="Most days that a preview of an ignore rule may look back."
    )
    drift_ignore_timeout: float = Field(
        120.0, gt=0, le=3600, description="Seconds after which the preview, creation or deletion of a rule is given up."
    )
    story_changes_max: int = Field(
        10_000, ge=1, le=1_000_000, description="Most changes that stories are made of in one answer."
    )
    drift_peers_max: int = Field(
        1000, ge=1, le=100_000, description="Most other hosts that are looked at for each change before an alert."
    )
    fleet_hosts_max: int = Field(
        10_000, ge=1, le=1_000_000, description="Most hosts whose configurations are compared at a time."
    )
    fleet_groups_max: int = Field(100, ge=1, le=10_000, description="Most groups that they may fall into.")
    fleet_values_max: int = Field(
        100_000, ge=1, le=10_000_000, description="Most different packages, versions and values that they may have."
    )
    range_max_days: int = Field(400, ge=1, le=3660, description="Most days between from and to.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for smaller, larger in (("session_idle_timeout", "session_lifetime"), ("page_size", "page_size_max")):
            if getattr(self, smaller) > getattr(self, larger):
                msg = f"{variable(smaller)} must not be greater than {variable(larger)}"
                raise ValueError(msg)
        return self
