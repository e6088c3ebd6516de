"""Questions about many hosts at once: which number, grouped how, and the series of the answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from infrawatch_api.domain.buckets import Buckets
from infrawatch_api.domain.inputs import InvalidInputError


class Ranked(StrEnum):
    """A number of a sample that is worth ranking."""

    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A host and the group that it counts to: itself, or the value of a tag, which it may lack."""

    host_id: str
    label: str | None


def check_number_of_hosts(found: int, most: int) -> None:
    """Raises ``InvalidInputError`` when there are more than ``most``."""
    if found > most:
        raise InvalidInputError("tag", f"matches more than {most} hosts; name fewer by tag or host")


def check_number_of_points(top: int, buckets: Buckets, most: int) -> None:
    """Raises ``InvalidInputError`` when so many series would have more than ``most`` buckets."""
    if top * buckets.count > most:
        raise InvalidInputError(
            "top",
            f"gives {top} series of {buckets.count} buckets, at most {most} buckets are answered;"
            " ask for fewer series, wider buckets or a shorter range",
        )


def starts(buckets: Buckets) -> Iterable[datetime]:
    """When each bucket begins."""
    return (buckets.first + buckets.width * number for number in range(buckets.count))


def hosts_by_label(chosen: Iterable[Chosen]) -> Mapping[str | None, int]:
    """How many hosts each group has."""
    counts: dict[str | None, int] = {}
    for one in chosen:
        counts[one.label] = counts.get(one.label, 0) + 1
    return counts
