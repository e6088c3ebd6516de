"""Samples as they are written: packed, with what else their transaction needs."""

from collections.abc import Sequence
from functools import cached_property

from infrawatch_common.events import Sample
from infrawatch_common.kafka import Record
from infrawatch_ingest import copying
from infrawatch_ingest.domain.hours import Extent, extent_of


class Rows:
    """The samples of one transaction, each with its record. What is worked out of them is worked out once."""

    def __init__(self, judged: Sequence[tuple[Sample, Record]]) -> None:
        self.judged = judged

    def __len__(self) -> int:
        return len(self.judged)

    @cached_property
    def extent(self) -> Extent:
        """What they touch."""
        return extent_of(self.judged)

    @cached_property
    def packed(self) -> bytes:
        """The payload of their COPY."""
        return copying.rows(sample for sample, _ in self.judged)

    def halves(self) -> tuple["Rows", "Rows"]:
        """The first and the second half."""
        middle = len(self.judged) // 2
        return Rows(self.judged[:middle]), Rows(self.judged[middle:])
