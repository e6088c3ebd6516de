"""The records on the topics; ``schemas/events/`` is generated from these models.

Unknown fields are ignored, so that newer agents can talk to older services. A missing or ill-typed field is not:
numbers are not taken from strings, nor whole numbers from fractions.
"""

import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

MAX_INTEGER = 2**31 - 1  # PostgreSQL's INTEGER
MAX_SEQUENCE = 2**53 - 1  # the largest whole number that every JSON reader keeps exact


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_timestamp(value: object) -> datetime:
    """A moment in UTC from RFC 3339 text. Raises ``ValueError``."""
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        msg = "should be an RFC 3339 date and time with zone, such as 2026-11-22T10:00:00.123Z"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError as error:
        msg = "should lie between the years 1 and 9999 in UTC"
        raise ValueError(msg) from error


# The characters keep an id printable, and NUL out of the signed text.
_HOST_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"
HOST_ID_PATTERN = _HOST_ID + r"\Z"  # for Python's engine, whose "$" lets a line end pass
# Some regular expression engines let a line end pass before "$", so the schema forbids white space once more.
HostId = Annotated[
    str,
    StringConstraints(pattern=_HOST_ID + "$"),
    Field(json_schema_extra={"not": {"pattern": r"\s"}}),
]
Timestamp = Annotated[
    datetime,
    PlainValidator(parse_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_RFC_3339.pattern}$"}),
]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
# PostgreSQL stores no NUL in text.
Text = Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class AgentStamp(_Record):
    """Which run of an agent made a record, and the how-manieth of that run it is."""

    instance: UUID = Field(description="New at every start of an agent.")
    sequence: int = Field(ge=0, le=MAX_SEQUENCE, description="Grows by one with every record of its kind.")


class MetricRecord(_Record):
    """One sample of a host, on ``infrawatch.metrics.v1``."""

    id: UUID = Field(description="UUIDv7, made by the agent.")
    host_id: HostId
    timestamp: Timestamp = Field(description="When the sample was read (RFC 3339, UTC).")
    cpu: Percent = Field(description="Percent of all cores the host may use, since the sample before.")
    memory: Percent = Field(description="Percent of memory in use.")
    disk: Percent = Field(description="Percent in use of the fullest real filesystem.")
    uptime: int = Field(ge=0, le=MAX_INTEGER, description="Whole seconds since boot.")
    agent: AgentStamp


class HostDescription(_Record):
    """What a host calls itself; used when it is first registered."""

    name: Name
    tags: dict[Name, Text] = Field(default_factory=dict)


class SnapshotRecord(_Record):
    """One configuration snapshot of a host, on ``infrawatch.snapshots.v1``."""

    id: UUID = Field(description="UUIDv7, made by the agent.")
    host_id: HostId
    timestamp: Timestamp = Field(description="When the snapshot was taken (RFC 3339, UTC).")
    os_info: Text
    kernel: Text
    packages: dict[Name, dict[Name, Text]] = Field(description="Source → package → version.")
    env_vars: dict[Name, Text] = Field(description="Whitelisted variables; secret-looking values as keyed digests.")
    host: HostDescription
    agent: AgentStamp
