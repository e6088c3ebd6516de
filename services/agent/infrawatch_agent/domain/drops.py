"""Why a record was lost: a closed list, so that it can be counted by reason."""

from enum import StrEnum


class Drop(StrEnum):
    """Every way in which the agent gives up a record."""

    SPOOL_FULL = "spool_full"  # the oldest go when the spool has its most bytes
    SPOOL_NOT_WRITABLE = "spool_not_writable"  # the oldest in memory go when the disk takes none
    REFUSED_BY_BROKER = "refused_by_broker"  # the broker takes no record of this size
