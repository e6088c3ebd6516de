"""What people are told of a snapshot that differs from the one before it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.drift.changes import sentence
from infrawatch_common.drift.notice_ids import drift_notice_id
from infrawatch_common.drift.severity import Outcome
from infrawatch_drift.domain.findings import RANKS, Found, Kind, Policy, Told, event, worst

# A message is read by people: what it cannot name it counts.
_MOST_CHANGES = 20
_OF_CHANGE = (
    "id",
    "category",
    "source",
    "name",
    "action",
    "direction",
    "before",
    "after",
    "packages_before",
    "packages_after",
    "severity",
    "reason",
)


class Notice(NamedTuple):
    """A row of ``notices``; ``event`` is what messages are made of."""

    id: UUID
    found: Found  # the worst
    event: dict[str, Any]


def notice(news: Sequence[Found], policy: Policy) -> Notice | None:
    """What is told of a snapshot's changes that nobody knew before; None if none of them is bad enough."""
    seen = sorted((row for row in news if not row.hidden), key=lambda row: -RANKS[row.severity])
    least = policy.notify_severity
    if not seen or least is None or RANKS[worst(seen)] < RANKS[least]:
        return None
    first = seen[0]
    counts = Counter(row.severity for row in seen)
    identifier = drift_notice_id(first.snapshot_id)
    described = event(Told(Kind.CHANGED, first))
    told = {
        "kind": "drift",
        "id": str(identifier),
        **{name: described[name] for name in ("host_id", "snapshot_id", "not_before", "at", "found_at")},
        "late": any(row.late for row in seen),
        "severity": first.severity.value,
        "counts": {severity.value: counts[severity] for severity in (Outcome.CRITICAL, Outcome.WARNING, Outcome.INFO)},
        "changes": [_change(row) for row in seen[:_MOST_CHANGES]],
    }
    return Notice(identifier, first, told)


def _change(found: Found) -> dict[str, Any]:
    described = event(Told(Kind.CHANGED, found))
    return {**{name: described[name] for name in _OF_CHANGE}, "sentence": sentence(found.change)}
