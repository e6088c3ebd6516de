"""How changes of versions and values spread over the fleet."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.rollouts import Rollout, RolloutHost
from infrawatch_api.csv_export import CSV, FormatParameter, Listing, Table, listed
from infrawatch_api.domain.fleet import shown
from infrawatch_api.domain.inputs import InvalidInputError, parse_tags, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.rollouts import RolloutId, RolloutState, parse_rollout, rollout_range
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit
from infrawatch_api.routes.fleet_parameters import (
    CategoryFilter,
    NameFilter,
    SourceFilter,
    TagFilter,
    as_of,
    subject_category,
)
from infrawatch_api.store import rollout_hosts, rollouts
from infrawatch_api.store.fleet import reading
from infrawatch_api.store.rollout_hosts import Asked
from infrawatch_api.store.rollouts import Move, Question
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Key
from infrawatch_common.drift.facts import subject

_ROLLOUTS = Table.of("rollouts", Rollout)
_HOSTS = Table.of("rollout-hosts", RolloutHost)
# Cursors begin with the end of the time that is asked about, so that all pages are of the same time.
_KEYS = (datetime, *rollouts.KEYS)
_HOST_KEYS = (datetime, str)

From = Annotated[
    str | None,
    QueryParameter(name="from", description="RFC 3339 time of the start; 7 days before the end by default."),
]
To = Annotated[
    str | None,
    QueryParameter(name="to", description="RFC 3339 time of the end, which is not included; now by default."),
]


@get(
    "/rollouts",
    guards=[requires(Role.VIEWER)],
    operation_id="listRollouts",
    summary="How changes spread",
    opt={CSV: True},
)
async def list_rollouts(  # noqa: PLR0913 - each filter is a parameter
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    start: From = None,
    end: To = None,
    tag: TagFilter = None,
    category: CategoryFilter = None,
    source: SourceFilter = None,
    name: NameFilter = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Rollout]:
    """Every change from one version, or value, to another that a host made in this time, those that were made last come
    first, with how many hosts are where at its end. Upgrades and downgrades alike; what ignore rules hide is not here.
    """
    until = as_of(end, cursor, _KEYS, api.clock(), field="to")
    covered = rollout_range(start, until, timedelta(days=api.settings.range_max_days))
    question = Question(
        covered.start,
        covered.end,
        parse_tags(tag or []),
        subject_category(category),
        plain_text("source", source),
        plain_text("name", name),
    )
    places: dict[str, str] = {}

    async def fetch(after: tuple[Any, ...] | None, most: int) -> list[Rollout]:
        async with reading(api.database) as connection:
            moves = await rollouts.page(connection, question, after[1:] if after else None, most)
            told = await _told(connection, question, moves)
        places.update({one.id: move.one for one, move in zip(told, moves, strict=True)})
        return told

    async def count(after: tuple[Any, ...] | None, most: int) -> int:
        async with reading(api.database) as connection:
            return await rollouts.count(connection, question, after[1:] if after else None, most)

    listing = Listing(_ROLLOUTS, _KEYS, lambda one: [until, one.last_at, places[one.id]], fetch, count)
    answer: Page[Rollout] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


async def _told(connection: Connection, question: Question, moves: list[Move]) -> list[Rollout]:
    facts = await rollouts.facts(connection, [key for move in moves for key in move.facts])
    asked = [_asked(move, *(facts[key] for key in move.facts)) for move in moves]
    tallies = await rollout_hosts.tally(connection, question, asked)
    return [_rollout(move, one, tally) for move, one, tally in zip(moves, asked, tallies, strict=True)]


def _asked(move: Move, fact_before: int, fact_after: int) -> Asked:
    about = subject(Key(move.category, move.source, move.name))
    return Asked(about, fact_before, fact_after, move.before, move.after)


def _rollout(move: Move, asked: Asked, tally: Mapping[RolloutState, int]) -> Rollout:
    about = Key(move.category, move.source, move.name)
    return Rollout(
        id=str(RolloutId(asked.fact_before, asked.fact_after)),
        category=move.category,
        source=move.source,
        name=move.name,
        before=shown(about, move.before) or "",
        after=shown(about, move.after) or "",
        direction=move.direction,
        first_at=move.first_at,
        last_at=move.last_at,
        **{state.value: tally.get(state, 0) for state in RolloutState},
    )


@get(
    "/rollouts/hosts",
    guards=[requires(Role.VIEWER)],
    operation_id="listRolloutHosts",
    summary="Where each host is in a rollout",
    opt={CSV: True},
)
async def list_rollout_hosts(  # noqa: PLR0913 - each filter is a parameter
    request: Request[Any, Any, Any],
    *,
    api: ApiDependency,
    rollout: Annotated[str, QueryParameter(max_length=64, description="Id of the rollout.")],
    where: Annotated[RolloutState | None, QueryParameter(name="state", description="Only hosts in this state.")] = None,
    start: From = None,
    end: To = None,
    tag: TagFilter = None,
    form: FormatParameter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[RolloutHost]:
    """The hosts that made this change or have what is before or after it, by id."""
    until = as_of(end, cursor, _HOST_KEYS, api.clock(), field="to")
    covered = rollout_range(start, until, timedelta(days=api.settings.range_max_days))
    question = Question(covered.start, covered.end, parse_tags(tag or []))
    about, asked = await _named(api, parse_rollout(rollout))

    async def fetch(after: tuple[Any, ...] | None, most: int) -> list[RolloutHost]:
        async with reading(api.database) as connection:
            found = await rollout_hosts.page(connection, question, asked, where, after[1] if after else "", most)
        return [RolloutHost(one.host_id, one.state, shown(about, one.value), one.changed_at) for one in found]

    async def count(after: tuple[Any, ...] | None, most: int) -> int:
        async with reading(api.database) as connection:
            return await rollout_hosts.count(connection, question, asked, where, after[1] if after else "", most)

    listing = Listing(_HOSTS, _HOST_KEYS, lambda one: [until, one.host_id], fetch, count)
    answer: Page[RolloutHost] = await listed(api, request, listing, form=form, cursor=cursor, limit=limit)
    return answer


async def _named(api: Api, rollout: RolloutId) -> tuple[Key, Asked]:
    async with reading(api.database) as connection:
        before = await rollouts.fact(connection, rollout.before)
        after = await rollouts.fact(connection, rollout.after)
    if before is None or after is None or before.subject != after.subject or before == after:
        raise InvalidInputError("rollout", "should be the id of a rollout")
    about = Key(before.category, before.source, before.name)
    return about, Asked(before.subject, rollout.before, rollout.after, before.value, after.value)


router = Router("/drift", route_handlers=[list_rollouts, list_rollout_hosts], tags=["fleet"])
