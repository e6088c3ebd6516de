"""A batch of messages, sorted into records and dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from infrawatch_common.events import HostKey, Rejection
from infrawatch_common.events.judgement import JudgedT, Message, Read, Rules, judge

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Batch(Generic[JudgedT, MessageT]):
    """Records, each with the message it came from, and refused messages with the reason."""

    accepted: list[tuple[JudgedT, MessageT]] = field(default_factory=list)
    refused: list[tuple[Rejection, MessageT]] = field(default_factory=list)

    def extend(self, other: "Batch[JudgedT, MessageT]") -> None:
        """Add another batch at the end."""
        self.accepted.extend(other.accepted)
        self.refused.extend(other.refused)


def sort_out(
    messages: Sequence[MessageT], keys: Mapping[str, HostKey], rules: Rules, read: Read[JudgedT]
) -> Batch[JudgedT, MessageT]:
    """Judge every message by itself, so that a bad one never stops its neighbours."""
    batch: Batch[JudgedT, MessageT] = Batch()
    for message in messages:
        verdict = judge(message, keys, rules, read)
        if isinstance(verdict, Rejection):
            batch.refused.append((verdict, message))
        else:
            batch.accepted.append((verdict, message))
    return batch
