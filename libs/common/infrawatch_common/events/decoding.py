"""From the bytes of a message to a record, or to the reason why not.

``decode`` validates by the contract's model. ``decode_sample`` gives the same verdict in a third of the time for
samples of the usual form, and asks ``decode`` about every other; a property test holds the two together.
"""

import json
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import BaseModel, ValidationError

from infrawatch_common.events.records import (
    HOST_ID_PATTERN,
    MAX_INTEGER,
    MAX_SEQUENCE,
    MetricRecord,
    Sample,
    parse_timestamp,
)
from infrawatch_common.events.rejection import Reason, Rejection

RecordT = TypeVar("RecordT", bound=BaseModel)

# A valid record with no more than its own fields holds exactly this many quotation marks: two for each of its ten
# keys and four strings, and none inside a string. Each repeated or unknown key adds two.
_QUOTES_OF_A_SAMPLE = 2 * (10 + 4)

_Percent = Annotated[float, Meta(ge=0, le=100)]


class _UsualStamp(msgspec.Struct, gc=False):
    instance: UUID
    sequence: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class _UsualSample(msgspec.Struct, gc=False):
    id: UUID
    host_id: Annotated[str, Meta(pattern=HOST_ID_PATTERN)]
    timestamp: str
    cpu: _Percent
    memory: _Percent
    disk: _Percent
    uptime: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    agent: _UsualStamp


_decode_usual = msgspec.json.Decoder(_UsualSample).decode


def decode(model: type[RecordT], value: bytes | None) -> RecordT | Rejection:
    """Validate one message body; never raises, whatever the bytes are."""
    if not value:
        return Rejection(Reason.EMPTY, "the message has no body")
    try:
        record = model.model_validate_json(value)
    except ValidationError as error:
        return _explain(error)
    if (name := _repeated_key(value)) is not None:
        return Rejection(Reason.DUPLICATE_KEYS, f"an object names the key {name!r} twice")
    return record


def decode_sample(value: bytes | None) -> Sample | Rejection:
    """Validate one sample's message body; never raises, whatever the bytes are."""
    if value and value.count(b'"') == _QUOTES_OF_A_SAMPLE:
        try:
            usual = _decode_usual(value)
            moment = parse_timestamp(usual.timestamp)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the model says what is wrong with it, if anything is
        else:
            return Sample(
                usual.id, usual.host_id, moment, usual.cpu, usual.memory, usual.disk, usual.uptime,
                usual.agent.instance, usual.agent.sequence,
            )  # fmt: skip
    record = decode(MetricRecord, value)
    return record if isinstance(record, Rejection) else Sample.of(record)


def _explain(error: ValidationError) -> Rejection:
    errors = error.errors(include_input=False, include_context=False, include_url=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return Rejection(Reason.MALFORMED, first["msg"])
    field = ".".join(ascii(part).strip("'")[:64] for part in first["loc"]) or "record"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Rejection(Reason.INVALID, f"{field}: {first['msg']}{more}")


def _repeated_key(value: bytes) -> str | None:
    repeated: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name[:64])
            seen.add(name)

    json.loads(value, object_pairs_hook=check)
    return repeated[0] if repeated else None
