"""Samples as services use them: small, and decoded straight from the bytes of a message.

``decode_sample`` gives the verdict of ``decode`` with the contract's model, in a quarter of the time for samples of the
usual form, and asks ``decode`` about every other; a property test holds the two together.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from infrawatch_common.events.decoding import decode
from infrawatch_common.events.records import HOST_ID_PATTERN, MAX_INTEGER, MAX_SEQUENCE, MetricRecord
from infrawatch_common.events.rejection import Rejection

_Percent = Annotated[float, Meta(ge=0, le=100)]


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """Which run of an agent made a sample, and the how-manieth of that run it is."""

    instance: UUID
    sequence: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class Sample(msgspec.Struct, frozen=True, gc=False):
    """What services use of a valid sample; ``timestamp`` is in UTC."""

    id: UUID
    host_id: str
    timestamp: datetime
    cpu: _Percent
    memory: _Percent
    disk: _Percent
    uptime: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    agent: Stamp

    @classmethod
    def of(cls, record: MetricRecord) -> "Sample":
        """The sample in a record."""
        return cls(
            *(record.id, record.host_id, record.timestamp, record.cpu, record.memory, record.disk, record.uptime),
            Stamp(record.agent.instance, record.agent.sequence),
        )


# A valid record with no more than its own fields holds exactly this many quotation marks: two for each of its ten
# keys and four strings, and none inside a string. Each repeated or unknown key adds two.
_QUOTES = 2 * (10 + 4)
_BEFORE_TIME = b'"timestamp":"'
_T, _Z = ord("T"), ord("Z")
_SHORTEST_TIME, _LONGEST_TIME = len("2026-11-22T10:00:00Z"), len("2026-11-22T10:00:00.123456Z")

_decode = msgspec.json.Decoder(Sample).decode


@lru_cache(maxsize=100_000)
def is_host_id(text: str) -> bool:
    """Whether the contract takes it as the id of a host."""
    return re.match(HOST_ID_PATTERN, text) is not None


def decode_sample(value: bytes | None) -> Sample | Rejection:
    """Validate one sample's message body; never raises, whatever the bytes are."""
    # msgspec reads times more generously than the contract: only the usual way to write one in UTC may pass.
    begin = value.find(_BEFORE_TIME) + len(_BEFORE_TIME) if value else 0
    if (
        value
        and value.count(b'"') == _QUOTES
        and begin >= len(_BEFORE_TIME)
        and _SHORTEST_TIME <= (end := value.find(b'"', begin)) - begin <= _LONGEST_TIME
        and value[begin + 10] == _T
        and value[end - 1] == _Z
    ):
        try:
            sample = _decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # the model says what is wrong with it, if anything is
        else:
            if is_host_id(sample.host_id):
                return sample
    record = decode(MetricRecord, value)
    return record if isinstance(record, Rejection) else Sample.of(record)
