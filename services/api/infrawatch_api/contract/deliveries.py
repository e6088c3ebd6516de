"""Deliveries: every attempt to send a message."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from infrawatch_api.domain.deliveries import MessageState, Outcome


class Delivery(msgspec.Struct, frozen=True):
    """An attempt to send a message; ``detail`` is why it failed. ``state`` is what became of the message, which is
    sent again at ``next_attempt_at`` while it waits. ``host_id`` is null for a test.
    """

    id: UUID
    notification_id: UUID
    attempt: int
    channel_id: UUID
    channel: str
    host_id: str | None
    title: str
    started_at: datetime
    finished_at: datetime | None
    outcome: Outcome
    detail: str | None
    state: MessageState
    next_attempt_at: datetime | None


class DeliveryWithMessage(Delivery, frozen=True):
    """An attempt, and the message as it was sent. ``resent_of`` is the message that it repeats, if somebody asked for
    that; ``requested_by`` is who did, an email address.
    """

    message: dict[str, Any]
    resent_of: UUID | None
    requested_by: str | None
