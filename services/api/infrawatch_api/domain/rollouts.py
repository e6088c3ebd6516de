"""How far a change of one version, or value, to another has come in a fleet."""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from infrawatch_api.domain.buckets import Range
from infrawatch_api.domain.inputs import InvalidInputError, parse_time

DEFAULT_RANGE = timedelta(days=7)

_ID = re.compile(r"([0-9]{1,10})-([0-9]{1,10})", re.ASCII)
_MOST = 2**31 - 1


class RolloutState(StrEnum):
    """Where a host is: it changed and stayed (``done``), it changed and has what it had before again (``reverted``),
    it changed and has something else by now (``moved_on``), it has what others had before (``left``), or it has what
    others changed to and did not change to it in this time (``already``).
    """

    DONE = "done"
    LEFT = "left"
    REVERTED = "reverted"
    MOVED_ON = "moved_on"
    ALREADY = "already"


class RolloutId(NamedTuple):
    """The facts before and after. They stand for the values, of which some are secret."""

    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.before}-{self.after}"


def parse_rollout(text: str) -> RolloutId:
    """The rollout with this id. Raises ``InvalidInputError``."""
    match = _ID.fullmatch(text)
    if match is None or any(int(number) > _MOST for number in match.groups()):
        raise InvalidInputError("rollout", "should be the id of a rollout")
    return RolloutId(int(match[1]), int(match[2]))


def rollout_range(start: str | None, end: datetime, longest: timedelta) -> Range:
    """The time up to ``end``; a week by default. Raises ``InvalidInputError``."""
    since = parse_time("from", start) if start is not None else end - DEFAULT_RANGE
    if since >= end:
        raise InvalidInputError("from", "should be earlier than to")
    if end - since > longest:
        raise InvalidInputError("from", f"should be at most {longest.days} days before to")
    return Range(since, end)
