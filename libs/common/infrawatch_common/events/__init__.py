"""The contract of the topics: what a record is, how it is decoded, how it is signed, why it is refused.

This package is the one place where a record is validated. It uses pydantic and the standard library only,
so that the decisions of every service (``domain/``) may build on it.
"""

from infrawatch_common.events.decoding import decode
from infrawatch_common.events.records import AgentStamp, HostDescription, HostId, MetricRecord, SnapshotRecord
from infrawatch_common.events.rejection import Reason, Rejection
from infrawatch_common.events.signature import (
    SIGNATURE_HEADER,
    HostKey,
    SignedRecord,
    check_signature,
    derive_secret,
    key_id_of,
    sign,
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
    "SignedRecord",
    "SnapshotRecord",
    "check_signature",
    "decode",
    "derive_secret",
    "key_id_of",
    "sign",
]
