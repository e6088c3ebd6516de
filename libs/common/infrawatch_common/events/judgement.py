"""Which records become rows, and why the others do not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from infrawatch_common.events import (
    SIGNATURE_HEADER,
    HostKey,
    Reason,
    Rejection,
    check_signature,
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


class Judged(Protocol):
    """A record as it was read from a body: of a host, at a time in UTC."""

    @property
    def host_id(self) -> str: ...  # noqa: D102
    @property
    def timestamp(self) -> datetime: ...  # noqa: D102


JudgedT = TypeVar("JudgedT", bound=Judged)
# From a body, which is not empty, to the record in it; never raises, whatever the bytes are.
Read = Callable[[bytes], JudgedT | Rejection]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken. Both times, in seconds, are measured against the broker's clock: a replay is judged the same.

    ``retention`` is how long before the broker got it a record may be stamped.
    """

    accept_unsigned: bool
    clock_tolerance: float
    retention: float


def judge(message: Message, keys: Mapping[str, HostKey], rules: Rules, read: Read[JudgedT]) -> JudgedT | Rejection:
    """The record in a message, once it is proved whose it is, or why it is refused; ``keys`` are by key id."""
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
    record = read(body)
    if isinstance(record, Rejection):
        return Rejection(record.reason, record.detail, proved)
    if message.key != record.host_id.encode() or proved not in (record.host_id, None):
        return _misplaced(record.host_id, proved)
    ahead = record.timestamp.timestamp() - message.timestamp / 1000
    if not -rules.retention <= ahead <= rules.clock_tolerance:
        return _untimely(record.host_id, ahead, rules)
    return record


def signature_of(message: Message) -> bytes | None:
    """The value of the signature header, if there is one."""
    for name, value in message.headers:
        if name == SIGNATURE_HEADER:
            return value
    return None


def appended(message: Message) -> datetime:
    """When the broker got the message."""
    return datetime.fromtimestamp(message.timestamp / 1000, UTC)


def _misplaced(host_id: str, proved: str | None) -> Rejection:
    if proved not in (host_id, None):
        return Rejection(
            Reason.BAD_SIGNATURE, f"host {proved} signed a record that claims to be another host's", proved
        )
    return Rejection(Reason.WRONG_KEY, "the message key is not the record's host_id", proved)


def _untimely(host_id: str, ahead: float, rules: Rules) -> Rejection:
    if ahead > 0:
        return Rejection(
            Reason.IN_FUTURE,
            f"stamped {ahead:.0f} s ahead of the broker's clock; {rules.clock_tolerance:.0f} s are tolerated",
            host_id,
        )
    return Rejection(
        Reason.TOO_OLD,
        f"stamped {-ahead // _DAY:.0f} days before the broker got it;"
        f" what is older than {rules.retention / _DAY:g} days is not taken",
        host_id,
    )
