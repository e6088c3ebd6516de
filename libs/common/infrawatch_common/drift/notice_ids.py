"""Under which id people are told of drift."""

from uuid import NAMESPACE_URL, UUID, uuid5


def drift_notice_id(snapshot_id: UUID) -> UUID:
    """That of what a snapshot shows to have changed: the same whoever finds it."""
    return uuid5(NAMESPACE_URL, f"infrawatch:drift:{snapshot_id}")
