"""How attempts to send went."""

from enum import StrEnum


class Outcome(StrEnum):
    """How an attempt went. ``PENDING``: it is under way. ``UNKNOWN``: whoever made it died before he could tell."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    PENDING = "pending"
    UNKNOWN = "unknown"


class MessageState(StrEnum):
    """What becomes of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
