"""A batch of messages, sorted into samples and dead letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from infrawatch_common.events import HostKey, Rejection, Sample
from infrawatch_common.events.judgement import Message, Rules, judge

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Batch(Generic[MessageT]):
    """Samples, each with the message it came from, and refused messages with the reason."""

    samples: list[tuple[Sample, MessageT]] = field(default_factory=list)
    refused: list[tuple[Rejection, MessageT]] = field(default_factory=list)

    def extend(self, other: "Batch[MessageT]") -> None:
        """Add another batch at the end."""
        self.samples.extend(other.samples)
        self.refused.extend(other.refused)


def sort_out(messages: Sequence[MessageT], keys: Mapping[str, HostKey], rules: Rules) -> Batch[MessageT]:
    """Judge every message by itself, so that a bad one never stops its neighbours."""
    batch: Batch[MessageT] = Batch()
    for message in messages:
        verdict = judge(message, keys, rules)
        if isinstance(verdict, Rejection):
            batch.refused.append((verdict, message))
        else:
            batch.samples.append((verdict, message))
    return batch
