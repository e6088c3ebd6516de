"""Why a record is not used: a closed list, so that it can label a metric and be searched for."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Every reason for a dead letter, with what it means to an operator."""

    EMPTY = "empty"  # no body: a tombstone or an empty value
    MALFORMED = "malformed"  # not UTF-8 JSON
    DUPLICATE_KEYS = "duplicate_keys"  # an object names a key twice, so readers could disagree
    INVALID = "invalid"  # JSON, but a field is missing, ill-typed or out of range
    WRONG_KEY = "wrong_key"  # the message key is not the record's host_id
    UNSIGNED = "unsigned"  # no signature, and unsigned records are not accepted here
    BAD_SIGNATURE = "bad_signature"  # the signature does not fit the body, the topic or the host
    UNKNOWN_KEY = "unknown_key"  # signed with a key that no host was given
    REVOKED_KEY = "revoked_key"  # signed with a key that was revoked before the broker got the record
    IN_FUTURE = "in_future"  # stamped later than the clock tolerance allows
    TOO_OLD = "too_old"  # stamped longer before the broker got it than is taken
    TOO_LARGE = "too_large"  # a snapshot of more bytes, variables or packages than are taken
    REPEATED_ID = "repeated_id"  # its id is that of another record
    REFUSED_BY_DATABASE = "refused_by_database"  # the database refused this row


@dataclass(frozen=True, slots=True)
class Rejection:
    """A verdict against one record. ``detail`` is one sentence without values that the sender chose freely."""

    reason: Reason
    detail: str
    host_id: str | None = None
