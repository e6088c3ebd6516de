"""A batch of messages, sorted into rows and dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from infrawatch_common.events import HostKey, MetricRecord, Rejection
from infrawatch_ingest.domain.judgement import Message, Rules, judge

MessageT = TypeVar("MessageT", bound=Message)


class Row(NamedTuple):
    """A row of table ``metrics``, in the order of its columns."""

    id: UUID
    host_id: str
    timestamp: datetime
    cpu: float
    memory: float
    disk: float
    uptime: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[MessageT]):
    """Rows, each with the message it came from, and refused messages with the reason."""

    samples: list[tuple[Row, MessageT]] = field(default_factory=list)
    refused: list[tuple[Rejection, MessageT]] = field(default_factory=list)


def sort_out(messages: Sequence[MessageT], keys: Mapping[str, HostKey], rules: Rules) -> Batch[MessageT]:
    """Judge every message by itself, so that a bad one never stops its neighbours."""
    batch: Batch[MessageT] = Batch()
    for message in messages:
        verdict = judge(message, keys, rules)
        if isinstance(verdict, Rejection):
            batch.refused.append((verdict, message))
        else:
            batch.samples.append((_row(verdict), message))
    return batch


def latest_by_host(rows: Sequence[Row]) -> dict[str, datetime]:
    """The newest timestamp of each host."""
    latest: dict[str, datetime] = {}
    for row in rows:
        seen = latest.get(row.host_id)
        if seen is None or row.timestamp > seen:
            latest[row.host_id] = row.timestamp
    return latest


def _row(record: MetricRecord) -> Row:
    return Row(record.id, record.host_id, record.timestamp, record.cpu, record.memory, record.disk, record.uptime)
