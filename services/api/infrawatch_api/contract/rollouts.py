"""How changes of versions and values spread over a fleet."""

from datetime import datetime

import msgspec

from infrawatch_api.domain.rollouts import RolloutState
from infrawatch_common.drift.changes import Category, Direction


class Rollout(msgspec.Struct, frozen=True):
    """A change ``before`` → ``after`` that at least one host made between ``from`` and ``to``, first and last when, and
    how many hosts are in which state at its end. ``direction`` is null where versions have no order.
    """

    id: str
    category: Category
    source: str
    name: str
    before: str
    after: str
    direction: Direction | None
    done: int
    left: int
    reverted: int
    moved_on: int
    already: int
    first_at: datetime
    last_at: datetime


class RolloutHost(msgspec.Struct, frozen=True):
    """A host in a rollout. ``changed_at``: when it last made the change in this time; null if it did not. ``value``:
    what it has at its end; null if it has nothing.
    """

    host_id: str
    state: RolloutState
    value: str | None
    changed_at: datetime | None
