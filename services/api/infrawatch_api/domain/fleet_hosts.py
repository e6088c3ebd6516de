"""Which hosts are compared with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.drift.changes import Key
from infrawatch_common.drift.ignoring import Ignore, covers


class Seen(NamedTuple):
    """A host, its group by a tag that it may lack, and its snapshot in force at some time, if it had one."""

    host_id: str
    label: str | None
    tags: Mapping[str, str]
    snapshot_id: UUID | None


@dataclass(frozen=True, slots=True)
class Cell:
    """Hosts of one group that the same ignore rules are for."""

    group: int
    ignores: tuple[Ignore, ...]

    def spares(self, key: Key) -> bool:
        """Whether nobody wants to hear of this on these hosts."""
        return any(covers(ignore, key, ignore.selector) for ignore in self.ignores)


class Member(NamedTuple):
    """A host that has a snapshot, and the number of its cell."""

    host_id: str
    snapshot_id: UUID
    cell: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts that have a snapshot, by id; their groups by label, and the cells that these fall into. Hosts, groups and
    cells are known by their number. ``unknown`` is how many hosts had no snapshot.
    """

    labels: tuple[str | None, ...]
    cells: tuple[Cell, ...]
    members: tuple[Member, ...]
    unknown: int

    def cells_of(self, group: int) -> list[int]:
        """The cells of a group."""
        return [number for number, cell in enumerate(self.cells) if cell.group == group]


def arrange(seen: Sequence[Seen], ignores: Sequence[Ignore]) -> Fleet:
    """Hosts, in the order that they come in, with their groups and cells."""
    labels = sorted({host.label for host in seen if host.snapshot_id}, key=lambda label: (label is None, label or ""))
    groups = {label: number for number, label in enumerate(labels)}
    cells: dict[tuple[int, tuple[int, ...]], int] = {}
    members = []
    for host in seen:
        if host.snapshot_id is not None:
            mine = tuple(number for number, one in enumerate(ignores) if one.selector.items() <= host.tags.items())
            cell = cells.setdefault((groups[host.label], mine), len(cells))
            members.append(Member(host.host_id, host.snapshot_id, cell))
    made = tuple(Cell(group, tuple(ignores[number] for number in mine)) for group, mine in cells)
    return Fleet(tuple(labels), made, tuple(members), len(seen) - len(members))
