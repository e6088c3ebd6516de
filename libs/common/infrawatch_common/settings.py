"""Settings: read once, from the environment, into frozen objects.

Every setting is an environment variable with the prefix ``INFRAWATCH_``. Instead of a value, the name with
``_FILE`` appended may point to a file that holds it, which is how secrets reach a service.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PostgresDsn, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from infrawatch_common.notices.addresses import Targets

PREFIX = "INFRAWATCH_"
BAD_SETTINGS_EXIT_CODE = 2


def variable(field: str) -> str:
    """The environment variable of a field: ``http_port`` → ``INFRAWATCH_HTTP_PORT``."""
    return f"{PREFIX}{field.upper()}"


class _FileSource(EnvSettingsSource):
    """Reads ``NAME_FILE`` where ``NAME`` itself is not set; trailing line ends are not part of the value."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        path = self.env_vars.get(f"{variable(field_name)}_FILE".lower())
        if path is None:
            return None, field_name, False
        if variable(field_name).lower() in self.env_vars:
            msg = f"{variable(field_name)} and {variable(field_name)}_FILE are both set; set one of them"
            raise SettingsError(msg)
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{variable(field_name)}_FILE names {path}, which cannot be read: {_cause(error)}"
            raise SettingsError(msg) from error


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _FileSource(settings_cls)


class ServiceSettings(_Settings):
    """What every service can be told: where it listens for health checks and scrapes, and how it logs."""

    http_host: str = Field("127.0.0.1", description="Address on which health checks and metrics are served.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of health checks and metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    stop_timeout: float = Field(
        15.0,
        gt=0,
        le=300,
        description="Seconds that a stop waits for the work in hand before it is given up (and done again later).",
    )


def _no_password_in_url(url: PostgresDsn) -> PostgresDsn:
    if any(host["password"] for host in url.hosts()):
        msg = "must not contain the password; set INFRAWATCH_DATABASE_PASSWORD_FILE"
        raise ValueError(msg)
    return url


class DatabaseSettings(_Settings):
    """How a service reaches TimescaleDB."""

    database_url: Annotated[PostgresDsn, AfterValidator(_no_password_in_url)] = Field(
        description="Where the database is and as which role: postgresql://ROLE@HOST:PORT/DATABASE, without password.",
    )
    database_password: SecretStr = Field(description="Password of the role in INFRAWATCH_DATABASE_URL.")
    database_pool_size: int = Field(4, ge=1, le=100, description="Most connections that one process opens.")
    database_timeout: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Seconds after which a statement is given up; a connection that died silently costs as much.",
    )


class KafkaClientSettings(_Settings):
    """How a service reaches Kafka."""

    kafka_bootstrap_servers: str = Field(
        "localhost:29092", min_length=3, description="Comma-separated HOST:PORT of one or more brokers."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How the connection is protected; SASL is SCRAM-SHA-512."
    )
    kafka_username: str | None = Field(None, description="SASL user.")
    kafka_password: SecretStr | None = Field(None, description="Password of the SASL user.")
    kafka_ca_file: Path | None = Field(
        None,
        description="PEM file of the authority that signed the broker's certificate; the system's by default.",
    )

    @model_validator(mode="after")
    def _sasl_needs_a_user(self) -> Self:
        missing = [name for name in ("kafka_username", "kafka_password") if getattr(self, name) is None]
        if self.kafka_security_protocol.startswith("SASL") and missing:
            protocol = f"{variable('kafka_security_protocol')} is {self.kafka_security_protocol}"
            msg = f"{protocol}, which needs {variable(missing[0])}"
            raise ValueError(msg)
        return self


class KafkaAdminSettings(KafkaClientSettings):
    """How a service administrates Kafka."""

    kafka_admin_timeout: float = Field(
        5.0,
        gt=0,
        le=60,
        description="Seconds after which Kafka counts as away when topics, rules or users are changed.",
    )


class KafkaSettings(KafkaClientSettings):
    """How a service consumes from Kafka, and the bounds of what it takes from it at a time."""

    kafka_group: str | None = Field(None, description="Consumer group; by default infrawatch-SERVICE.")
    kafka_session_timeout: float = Field(
        10.0,
        ge=6,
        le=300,
        description="Seconds without heartbeat after which a member's partitions go to another.",
    )
    kafka_fetch_max_bytes: int = Field(
        1536 * 1024,
        ge=64 * 1024,
        le=256 * 1024 * 1024,
        description="Most bytes that a fetch brings; a larger record comes alone. Memory grows by some 30 times of it.",
    )
    batch_max_records: int = Field(10_000, ge=1, le=50_000, description="Most records in one transaction.")
    stall_timeout: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="Seconds with lag and without progress after which the process ends itself to be restarted.",
    )
    metrics_topic: str = Field("infrawatch.metrics.v1", description="Topic of the samples.")
    snapshots_topic: str = Field("infrawatch.snapshots.v1", description="Topic of the configuration snapshots.")


class HostKeySettings(_Settings):
    """Where the secrets of host keys come from."""

    host_key_secret: SecretStr = Field(
        min_length=32,
        description="The secret from which every host's key is derived; the same for all services.",
    )


def split_commas(value: object) -> object:
    """The parts of a comma-separated text; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _targets(entries: tuple[str, ...]) -> tuple[str, ...]:
    Targets.parse(entries)
    return entries


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]


class TargetSettings(_Settings):
    """Where messages may go."""

    private_targets: Annotated[Names, AfterValidator(_targets)] = Field(
        (),
        description="Comma-separated host names and networks that messages may go to although they are private.",
    )

    @property
    def targets(self) -> Targets:
        """The same, parsed."""
        return Targets.parse(self.private_targets)


class ConsumerSettings(ServiceSettings, DatabaseSettings, KafkaSettings, HostKeySettings):
    """A service that writes what it consumes."""

    host_key_refresh: float = Field(
        30.0, gt=0, le=3600, description="Seconds after which a revoked host key is refused at the latest."
    )
    accept_unsigned: bool = Field(
        False,
        description="Take records without signature. Anyone who reaches the broker can then write as any host.",
    )
    clock_tolerance: float = Field(
        300.0, ge=0, le=86_400, description="Seconds that a record may be stamped ahead of the broker's clock."
    )

    @model_validator(mode="after")
    def _stall_after_timeout(self) -> Self:
        if self.stall_timeout <= self.database_timeout:
            msg = (
                f"{variable('stall_timeout')} ({self.stall_timeout:g} s) must be longer than "
                f"{variable('database_timeout')} ({self.database_timeout:g} s): a slow statement is not a stall"
            )
            raise ValueError(msg)
        return self


class SampleSettings(ConsumerSettings):
    """A service that consumes samples."""

    raw_retention_days: int = Field(
        30, ge=1, le=3650, description="Days that raw samples are kept; older records are refused."
    )


class JobSettings(ConsumerSettings):
    """A service that has jobs beside consuming."""

    job_timeout: float = Field(60.0, gt=0, le=3600, description="Seconds after which a statement of a job is given up.")
    retention_interval: float = Field(
        3600.0, ge=1, le=86_400, description="Seconds between two looks for what is kept no longer."
    )
    retention_batch: int = Field(
        5_000, ge=1, le=100_000, description="Most rows that one transaction deletes since they are kept no longer."
    )

    @model_validator(mode="after")
    def _stall_after_jobs(self) -> Self:
        if self.stall_timeout <= self.job_timeout:
            msg = (
                f"{variable('stall_timeout')} ({self.stall_timeout:g} s) must be longer than "
                f"{variable('job_timeout')} ({self.job_timeout:g} s): a batch may wait for what a job has locked"
            )
            raise ValueError(msg)
        return self


class SnapshotSettings(ConsumerSettings):
    """A service that consumes configuration snapshots."""

    snapshot_max_late_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Days before the broker got it that a snapshot may be stamped; older ones are refused.",
    )
    snapshot_max_bytes: int = Field(
        2 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Largest snapshot that is taken; a larger one is refused. Its topic takes as much by default.",
    )
    snapshot_env_vars_max: int = Field(
        10_000, ge=0, le=1_000_000, description="Most variables of a snapshot; with more of them it is refused."
    )
    snapshot_packages_max: int = Field(
        100_000,
        ge=0,
        le=10_000_000,
        description="Most packages of a snapshot, of all its sources; with more of them it is refused.",
    )


class LatenessSettings(_Settings):
    """A service that finds what has happened."""

    late_after: float = Field(
        60.0, gt=0, le=86_400, description="Seconds after it happened that what is found counts as found late."
    )


class RhythmSettings(_Settings):
    """A service that judges whether samples are missing."""

    reporting_interval: float = Field(
        10.0,
        gt=0,
        le=3600,
        description="Seconds between two samples of a host until its own interval is known; three are a gap."
        " The same for alerting and the API.",
    )


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load(settings: type[SettingsT]) -> SettingsT:
    """Read the settings, or end the process with one sentence on stderr and exit code 2."""
    try:
        return settings()
    except ValidationError as error:
        refuse("; ".join(_sentence(settings, item) for item in error.errors(include_input=False, include_url=False)))
    except SettingsError as error:
        refuse(str(error.__cause__ or error))  # pydantic wraps what a source raises


def refuse(sentence: str) -> NoReturn:
    """End the process because of a setting: one sentence, exit code 2."""
    sys.stderr.write(f"infrawatch: {sentence}\n")
    sys.exit(BAD_SETTINGS_EXIT_CODE)


def _sentence(settings: type[BaseSettings], item: Any) -> str:
    field = str(item["loc"][0]) if item["loc"] else ""
    if not field:
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        meaning = settings.model_fields[field].description or ""
        return f"{variable(field)} is not set ({meaning.rstrip('.')})"
    return f"{variable(field)} is wrong: {str(item['msg']).removeprefix('Value error, ')}"
