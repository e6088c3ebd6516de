"""The contract of the topics: what a record is, how it is decoded, how it is signed, why it is refused.

This package is the one place where a record is validated. It uses pydantic, msgspec and the standard library only,
so that the decisions of every service (``domain/``) may build on it.
"""

from infrawatch_common.events.decoding import decode
from infrawatch_common.events.records import AgentStamp, HostDescription, HostId, MetricRecord, SnapshotRecord
from infrawatch_common.events.rejection import Reason, Rejection
from infrawatch_common.events.samples import Sample, Stamp, decode_sample
from infrawatch_common.events.signature import (
    SIGNATURE_HEADER,
    HostKey,
    check_signature,
    derive_secret,
    key_id_of,
)

__all__ = [
    "SIGNATURE_HEADER",
    "AgentStamp",
    "HostDescription",
    "HostId",
    "HostKey",
    "MetricRecord",
    "Reason",
    "Rejection",
    "Sample",
    "SnapshotRecord",
    "Stamp",
    "check_signature",
    "decode",
    "decode_sample",
    "derive_secret",
    "key_id_of",
]
