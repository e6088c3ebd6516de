"""The fleet compared as of a time: read, counted and judged."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from infrawatch_api.domain.fleet import Accepted, Majority, Reporters, Wanted, doubtful, majorities
from infrawatch_api.domain.fleet_hosts import Fleet, arrange
from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.settings import Settings
from infrawatch_api.store import fleet as store
from infrawatch_common.database import Connection


class Question(NamedTuple):
    """What is compared: hosts with all the ``tags``, among those with the same value of the tag ``group_by``."""

    at: datetime
    tags: Sequence[Mapping[str, str]]
    group_by: str | None
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fleet and what most of each group have. ``values`` are those of the facts that were counted."""

    at: datetime
    fleet: Fleet
    majorities: Sequence[Majority]
    values: Mapping[int, str]
    reporters: Reporters
    accepted: frozenset[Accepted]


async def compare(connection: Connection, settings: Settings, question: Question) -> Comparison:
    """Compare the fleet. Raises ``InvalidInputError`` when there is more to compare than the settings allow."""
    seen = await store.choose(connection, question.at, question.tags, question.group_by, settings.fleet_hosts_max + 1)
    _check("tag", "hosts", len(seen), settings.fleet_hosts_max)
    fleet = arrange(seen, await store.ignores(connection))
    _check("group_by", "groups", len(fleet.labels), settings.fleet_groups_max)
    counted = await store.count(connection, fleet, settings.fleet_values_max + 1)
    _check("tag", "different values", len(counted), settings.fleet_values_max)
    silent = doubtful(fleet, counted)
    reporters = Reporters(fleet, await store.reporters(connection, fleet, silent) if silent else {})
    accepted = await store.accepted(connection, fleet, question.at)
    # Of a large fleet this takes a moment, in which others are served.
    judged = await asyncio.to_thread(majorities, fleet, counted, reporters, accepted, question.wanted)
    return Comparison(
        question.at,
        fleet,
        judged,
        {one.fact: one.value for one in counted},
        reporters,
        frozenset(accepted),
    )


def _check(field: str, what: str, found: int, most: int) -> None:
    if found > most:
        raise InvalidInputError(field, f"gives more than {most} {what}; compare fewer hosts at a time")
