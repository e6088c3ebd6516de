"""Which records become rows, and why the others do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from infrawatch_common.events import (
    SIGNATURE_HEADER,
    HostKey,
    MetricRecord,
    Reason,
    Rejection,
    SignedRecord,
    check_signature,
    decode,
)


class Message(Protocol):
    """A record as Kafka delivers it; ``timestamp`` is the broker's append time in milliseconds."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken. Both times are measured against the broker's clock, so a replay is judged the same."""

    accept_unsigned: bool
    clock_tolerance: timedelta
    retention: timedelta


def judge(message: Message, keys: Mapping[str, HostKey], rules: Rules) -> MetricRecord | Rejection:
    """The sample in a message, once it is proved whose it is, or why it is refused; ``keys`` are by key id."""
    if not message.value:
        return Rejection(Reason.EMPTY, "the message has no body")
    appended_at = appended(message)
    header = signature_of(message)
    proved: str | None = None
    if header is not None or not rules.accept_unsigned:
        key = check_signature(SignedRecord(message.topic, message.value, header, appended_at), keys)
        if isinstance(key, Rejection):
            return key
        proved = key.host_id
    record = decode(MetricRecord, message.value)
    if isinstance(record, Rejection):
        return Rejection(record.reason, record.detail, proved)
    return _misplaced(record, message.key, proved) or _untimely(record, appended_at, rules) or record


def signature_of(message: Message) -> bytes | None:
    """The value of the signature header, if there is one."""
    for name, value in message.headers:
        if name == SIGNATURE_HEADER:
            return value
    return None


def appended(message: Message) -> datetime:
    """When the broker got the message."""
    return datetime.fromtimestamp(message.timestamp / 1000, UTC)


def _misplaced(record: MetricRecord, key: bytes | None, proved: str | None) -> Rejection | None:
    if proved is not None and record.host_id != proved:
        return Rejection(
            Reason.BAD_SIGNATURE, f"host {proved} signed a record that claims to be another host's", proved
        )
    if key != record.host_id.encode():
        return Rejection(Reason.WRONG_KEY, "the message key is not the record's host_id", proved)
    return None


def _untimely(record: MetricRecord, appended_at: datetime, rules: Rules) -> Rejection | None:
    ahead = record.timestamp - appended_at
    if ahead > rules.clock_tolerance:
        return Rejection(
            Reason.IN_FUTURE,
            f"stamped {ahead.total_seconds():.0f} s ahead of the broker's clock;"
            f" {rules.clock_tolerance.total_seconds():.0f} s are tolerated",
            record.host_id,
        )
    if -ahead > rules.retention:
        return Rejection(
            Reason.TOO_OLD,
            f"stamped {-ahead.days} days before the broker got it; samples are kept for {rules.retention.days} days",
            record.host_id,
        )
    return None
