"""Which records become rows, and why the others do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from infrawatch_common.events import (
    SIGNATURE_HEADER,
    HostKey,
    Reason,
    Rejection,
    Sample,
    check_signature,
    decode_sample,
)

_DAY = 86_400


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
    """What is taken. Both times, in seconds, are measured against the broker's clock: a replay is judged the same."""

    accept_unsigned: bool
    clock_tolerance: float
    retention: float


def judge(message: Message, keys: Mapping[str, HostKey], rules: Rules) -> Sample | Rejection:
    """The sample in a message, once it is proved whose it is, or why it is refused; ``keys`` are by key id."""
    body = message.value
    if not body:
        return Rejection(Reason.EMPTY, "the message has no body")
    header = signature_of(message)
    proved: str | None = None
    if header is not None or not rules.accept_unsigned:
        key = check_signature(message.topic, body, header, message.timestamp, keys)
        if isinstance(key, Rejection):
            return key
        proved = key.host_id
    sample = decode_sample(body)
    if isinstance(sample, Rejection):
        return Rejection(sample.reason, sample.detail, proved)
    if message.key != sample.host_id.encode() or proved not in (sample.host_id, None):
        return _misplaced(sample, proved)
    ahead = sample.timestamp.timestamp() - message.timestamp / 1000
    if not -rules.retention <= ahead <= rules.clock_tolerance:
        return _untimely(sample, ahead, rules)
    return sample


def signature_of(message: Message) -> bytes | None:
    """The value of the signature header, if there is one."""
    for name, value in message.headers:
        if name == SIGNATURE_HEADER:
            return value
    return None


def appended(message: Message) -> datetime:
    """When the broker got the message."""
    return datetime.fromtimestamp(message.timestamp / 1000, UTC)


def _misplaced(sample: Sample, proved: str | None) -> Rejection:
    if proved not in (sample.host_id, None):
        return Rejection(
            Reason.BAD_SIGNATURE, f"host {proved} signed a record that claims to be another host's", proved
        )
    return Rejection(Reason.WRONG_KEY, "the message key is not the record's host_id", proved)


def _untimely(sample: Sample, ahead: float, rules: Rules) -> Rejection:
    if ahead > 0:
        return Rejection(
            Reason.IN_FUTURE,
            f"stamped {ahead:.0f} s ahead of the broker's clock; {rules.clock_tolerance:.0f} s are tolerated",
            sample.host_id,
        )
    return Rejection(
        Reason.TOO_OLD,
        f"stamped {-ahead // _DAY:.0f} days before the broker got it;"
        f" samples are kept for {rules.retention / _DAY:g} days",
        sample.host_id,
    )
