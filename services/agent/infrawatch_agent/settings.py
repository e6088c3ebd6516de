"""Settings of the agent: environment variables with the prefix ``INFRAWATCH_``, read once.

Instead of a value, the name with ``_FILE`` appended may point to a file that holds it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_origin, get_type_hints

import msgspec
from msgspec import Meta

PREFIX = "INFRAWATCH_"
BAD_SETTINGS_EXIT_CODE = 2

HOST_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent can be told; each field's text is its documentation."""

    state_directory: Annotated[
        str, Meta(min_length=1, description="Directory of identity and spool; belongs to the agent alone.")
    ] = "/var/lib/infrawatch-agent"
    host_id: Annotated[
        Annotated[str, Meta(pattern=HOST_ID_PATTERN)] | None,
        Meta(description="Id of this host; by default the enrolled one, else one derived from the machine id."),
    ] = None
    host_name: Annotated[str | None, Meta(description="Name shown to operators; by default the hostname.")] = None
    host_tags: Annotated[tuple[str, ...], Meta(description="Comma-separated KEY=VALUE pairs.")] = ()
    api_url: Annotated[
        str | None,
        Meta(description="Address of the API, for enrolment and new keys: https://HOST or http://HOST:PORT."),
    ] = None
    enrolment_token: Annotated[
        str | None,
        Meta(description="One-time token; with INFRAWATCH_API_URL the agent enrols itself at its first start."),
    ] = None
    key_max_age: Annotated[
        float,
        Meta(
            ge=0,
            le=3650,
            description="Days after which the host's key is replaced, where INFRAWATCH_API_URL is set; 0: never.",
        ),
    ] = 90.0
    allow_unsigned: Annotated[
        bool, Meta(description="Run without identity. Services refuse unsigned records unless they are told otherwise.")
    ] = False
    interval: Annotated[float, Meta(ge=1, le=3600, description="Seconds between samples.")] = 10.0
    snapshot_interval: Annotated[float, Meta(ge=10, le=86_400, description="Seconds between snapshots.")] = 600.0
    env_whitelist: Annotated[
        tuple[str, ...],
        Meta(description="Comma-separated names of environment variables that snapshots hold; * matches any text."),
    ] = ("LANG", "LC_*", "PATH", "TZ")
    env_variables_max: Annotated[
        int, Meta(ge=0, le=100_000, description="Most variables of a snapshot; with more of them it is refused.")
    ] = 5000
    python_interpreters: Annotated[
        tuple[str, ...],
        Meta(
            description="Comma-separated paths of Python interpreters and virtual environments whose packages snapshots"
            " hold, where present; * matches any name, as in /opt/*/venv."
        ),
    ] = ("/usr/bin/python3",)
    snapshot_max_bytes: Annotated[
        int,
        Meta(
            ge=1000,
            le=60_000_000,
            description="Largest snapshot; a larger one is refused. The topic takes 2,097,152 bytes by default.",
        ),
    ] = 1_900_000
    command_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Seconds that a package manager may take to list its packages.")
    ] = 60.0
    spool_max_bytes: Annotated[
        int,
        Meta(
            ge=8_000_000,
            description="Most bytes that the spool takes on the disk; beyond it the oldest records are dropped.",
        ),
    ] = 64_000_000
    memory_max_bytes: Annotated[
        int,
        Meta(
            ge=1000,
            le=2_000_000,
            description="Most bytes of unsent records in memory while the spool cannot be written; the newest stay.",
        ),
    ] = 1_000_000
    backfill_rate: Annotated[
        float,
        Meta(
            gt=0,
            le=10_000,
            description="Most records a second that are sent of the backlog after an outage; new ones go at once."
            " 1,000 hosts that come back together send 1,000 times this.",
        ),
    ] = 10.0
    send_batch: Annotated[int, Meta(ge=1, le=10_000, description="Most records that are in flight at once.")] = 500
    send_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Seconds without acknowledgement after which a send is tried anew.")
    ] = 30.0
    stop_timeout: Annotated[
        float, Meta(gt=0, le=300, description="Seconds that a stop waits for unsent records; they stay in the spool.")
    ] = 5.0
    kafka_bootstrap_servers: Annotated[
        Annotated[str, Meta(min_length=3)] | None,
        Meta(
            description="Comma-separated HOST:PORT of one or more brokers. What is not set of this and the following is"
            " as it was told at the enrolment, else localhost:29092 without protection."
        ),
    ] = None
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None,
        Meta(description="How the connection is protected; SASL is SCRAM-SHA-512."),
    ] = None
    kafka_username: Annotated[str | None, Meta(description="SASL user.")] = None
    kafka_password: Annotated[str | None, Meta(description="Password of the SASL user.")] = None
    kafka_ca_file: Annotated[
        str | None, Meta(description="PEM file of the authority that signed the broker's certificate.")
    ] = None
    metrics_topic: Annotated[str, Meta(min_length=1, description="Topic of the samples.")] = "infrawatch.metrics.v1"
    snapshots_topic: Annotated[str, Meta(min_length=1, description="Topic of the configuration snapshots.")] = (
        "infrawatch.snapshots.v1"
    )
    http_host: Annotated[str, Meta(description="Address on which health checks and metrics are served.")] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65535, description="Port of health checks and metrics.")] = 28084
    container_limits: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="Whether cpu and memory are those of the agent's control group: auto, when in a container."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe level that is logged.")
    ] = "info"

    def __repr__(self) -> str:
        return "Settings(…)"  # a password must not reach a log by accident


class SettingsError(Exception):
    """A setting is wrong; the message is one sentence that names it."""


def variable(field: str) -> str:
    """The environment variable of a field: ``http_port`` → ``INFRAWATCH_HTTP_PORT``."""
    return f"{PREFIX}{field.upper()}"


def parse(environment: Mapping[str, str]) -> Settings:
    """The settings that an environment holds; empty variables count as unset."""
    hints = get_type_hints(Settings)
    values: dict[str, Any] = {}
    for field in Settings.__struct_fields__:
        text = _read(field, environment)
        if text is not None:
            values[field] = _split(text) if get_origin(hints[field]) is tuple else text
    for field, value in values.items():
        _check(field, value)
    settings = msgspec.convert(values, Settings, strict=False)
    for tag in settings.host_tags:
        if "=" not in tag:
            msg = f"{variable('host_tags')} is wrong: {tag!r} is not KEY=VALUE"
            raise SettingsError(msg)
    return settings


def load(environment: Mapping[str, str]) -> Settings:
    """The settings, or the end of the process with one sentence on stderr and exit code 2."""
    try:
        return parse(environment)
    except SettingsError as error:
        refuse(str(error))


def refuse(sentence: str) -> NoReturn:
    """End the process because of a setting: one sentence, exit code 2."""
    sys.stderr.write(f"infrawatch-agent: {sentence}\n")
    sys.exit(BAD_SETTINGS_EXIT_CODE)


def _read(field: str, environment: Mapping[str, str]) -> str | None:
    name = variable(field)
    text, path = environment.get(name) or None, environment.get(f"{name}_FILE") or None
    if path is None:
        return text
    if text is not None:
        msg = f"{name} and {name}_FILE are both set; set one of them"
        raise SettingsError(msg)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        msg = f"{name}_FILE names {path}, which cannot be read: {cause}"
        raise SettingsError(msg) from error


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _check(field: str, value: object) -> None:
    try:
        msgspec.convert({field: value}, Settings, strict=False)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at `$")[0]
        msg = f"{variable(field)} is wrong: {reason[0].lower()}{reason[1:]}"
        raise SettingsError(msg) from error
