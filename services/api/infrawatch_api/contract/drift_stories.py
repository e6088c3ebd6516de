"""What goes back and forth on hosts, told as one."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.domain.drift_changes import DriftSeverity
from infrawatch_common.drift.changes import Action, Category, Direction


class StoryStep(msgspec.Struct, frozen=True):
    """One change of a story; its fields are those of the change with this ``id``."""

    id: UUID
    not_before: datetime
    at: datetime
    action: Action
    direction: Direction | None
    before: str | None
    after: str | None
    packages_before: int | None
    packages_after: int | None
    severity: DriftSeverity
    late: bool


class DriftStory(msgspec.Struct, frozen=True):
    """Changes of one thing on one host, each within the window of the one before. ``first`` is what was there before
    all of them, ``last`` what is there after them, and ``returned`` whether that is the same; ``values`` is all that
    was there, once each, in its order. Of sources these are numbers of packages as texts. ``began_before``: an earlier
    change belongs to the story, but is from before the time that was asked for.
    """

    host_id: str
    category: Category
    source: str
    name: str
    since: datetime
    until: datetime
    changes: int
    returned: bool
    first: str | None
    last: str | None
    values: list[str | None]
    began_before: bool
    sentence: str
    steps: list[StoryStep]
