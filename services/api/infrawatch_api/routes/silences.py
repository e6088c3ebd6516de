"""Silences: what is not to be told for a while."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.silences import (
    DriftCounts,
    NewSilence,
    Silence,
    SilenceChange,
    SilencePreview,
    SilenceScope,
)
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.matches import all_of_kinds, excess, named, strangers
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.silences import SilenceState, Span, moved, planned
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, invalid_fields, not_found
from infrawatch_api.routes.parameters import HostIdFilter, SilenceIdParameter, checked_host_id
from infrawatch_api.store import hiding, matches, silences
from infrawatch_common.database import Connection
from infrawatch_common.notices.matching import Match
from infrawatch_common.settings import variable

_WEEK = timedelta(days=7)


@get("/", guards=[requires(Role.VIEWER)], operation_id="listSilences", summary="List silences")
async def list_silences(
    *,
    api: ApiDependency,
    current: Annotated[
        str | None,
        QueryParameter(name="state", enum=list(SilenceState), description="Whether they are in force now."),
    ] = None,
    host_id: HostIdFilter = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Silence]:
    """Newest first. With a host those that hide at least some of its events, by the tags that it has now."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    filters = silences.Filters(_state(current), checked_host_id(host_id))
    async with api.database.connection() as connection:
        found = await silences.page(connection, filters, wanted.after, wanted.fetch, api.clock())
    return wanted.page(found, lambda silence: [silence.created_at, silence.id])


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createSilence",
    summary="Create a silence",
)
async def create_silence(
    data: JSONBody[NewSilence], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> Silence:
    """What begins to fire and matches is not told while it is in force; what fires on when it ends is told then. What
    was told as firing is told as resolved all the same. Drift that is found meanwhile and matches is never told. There
    is a most number of silences (409).
    """
    match = data.match.match()
    span = _planned(api, data, match, act.at)
    everything = all_of_kinds(match)
    if everything is not None and not data.everything:
        raise invalid(
            "match",
            f"matches {everything}, so that none of it would be told of any host; if you mean that,"
            ' add "everything": true',
        )
    async with api.database.transaction() as connection:
        await _refuse_strangers(connection, match)
        if await silences.lock_creation(connection, act.at) >= api.settings.silences_max:
            raise ProblemError(
                Kind.CONFLICT,
                f"There are as many silences as {variable('silences_max')} allows, {api.settings.silences_max};"
                " delete some, or raise it.",
            )
        silence = await silences.insert(connection, match, data.reason, span, caller.user_id, act.at)
        await act.write(connection, Action.SILENCE_CREATED, str(silence.id), **_noted(silence))
    return silence


@post(
    "/preview",
    guards=[requires(Role.VIEWER)],
    status_code=HTTP_200_OK,
    operation_id="previewSilence",
    summary="What a silence would hide",
)
async def preview_silence(data: JSONBody[SilenceScope], api: ApiDependency, limit: Limit = None) -> SilencePreview:
    """Changes nothing. Of what fires now, ``limit`` events are shown, the newest ones."""
    match = data.match.match()
    now = api.clock()
    _planned(api, data, match, now)
    wanted = paging(None, limit, [], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.transaction() as connection:
        await _refuse_strangers(connection, match)
        hosts, alerts = await hiding.count_matched(connection, match)
        return SilencePreview(
            everything=all_of_kinds(match) is not None,
            hosts=hosts,
            alerts=alerts,
            firing_count=await hiding.count_firing(connection, match),
            firing=await hiding.firing(connection, match, wanted.limit),
            events_in_7_days=await hiding.count_since(connection, match, now - _WEEK),
            drift_in_7_days=DriftCounts(**await hiding.count_drift_since(connection, match, now - _WEEK)),
        )


@get("/{silence_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getSilence", summary="Get a silence")
async def get_silence(api: ApiDependency, silence_id: SilenceIdParameter) -> Silence:
    """Get a silence."""
    async with api.database.connection() as connection:
        silence = await silences.get(connection, silence_id, api.clock())
    if silence is None:
        raise not_found("silence")
    return silence


@patch(
    "/{silence_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    opt={PROBLEMS: [409]},
    operation_id="changeSilence",
    summary="Change a silence",
)
async def change_silence(
    data: JSONBody[SilenceChange], api: ApiDependency, act: ActDependency, silence_id: SilenceIdParameter
) -> Silence:
    """One that is over stays as it is (409), and so does what a silence matches: for something else make another."""
    async with api.database.transaction() as connection:
        silence = await _locked(connection, silence_id, act.at)
        if silence.state is SilenceState.EXPIRED:
            raise ProblemError(Kind.CONFLICT, "The silence is over; create a new one.")
        before = Span(silence.starts_at, silence.ends_at)
        span = _agreed(moved(before, data.wish(), act.at, timedelta(seconds=api.settings.silence_duration_max)))
        reason = data.reason or silence.reason
        if (reason, span) == (silence.reason, before):
            return silence
        after = await silences.update(connection, silence_id, reason, span, act.at)
        await act.write(connection, Action.SILENCE_CHANGED, str(silence_id), **_noted(after))
    return after


@delete(
    "/{silence_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteSilence",
    summary="End a silence",
)
async def delete_silence(
    api: ApiDependency, caller: CallerDependency, act: ActDependency, silence_id: SilenceIdParameter
) -> None:
    """It ends now and stays in the list; what it hid and still fires is told. One that has not begun is taken away."""
    async with api.database.transaction() as connection:
        silence = await _locked(connection, silence_id, act.at)
        if silence.state is SilenceState.EXPIRED:
            return
        if silence.starts_at < act.at:
            await silences.end(connection, silence_id, caller.user_id, act.at)
        else:
            await silences.delete(connection, silence_id)
        await act.write(connection, Action.SILENCE_ENDED, str(silence_id), **_noted(silence))


def _state(text: str | None) -> SilenceState | None:
    if text not in {None, *SilenceState}:
        raise invalid("state", f"should be one of {', '.join(SilenceState)}")
    return SilenceState(text) if text is not None else None


def _planned(api: Api, data: SilenceScope, match: Match, now: datetime) -> Span:
    found = excess(match, api.settings.match_ids_max, "match")
    if found:
        raise invalid_fields(found)
    return _agreed(planned(data.wish(), now, timedelta(seconds=api.settings.silence_duration_max)))


def _agreed(outcome: Span | dict[str, str]) -> Span:
    if isinstance(outcome, dict):
        raise invalid_fields(outcome)
    return outcome


async def _refuse_strangers(connection: Connection, match: Match) -> None:
    host_ids, alert_ids = (named([match], name) for name in ("host_ids", "alert_ids"))
    found = strangers(match, await matches.unknown(connection, host_ids, alert_ids), "match")
    if found:
        raise invalid_fields(found)


async def _locked(connection: Connection, silence_id: UUID, now: datetime) -> Silence:
    silence = await silences.lock(connection, silence_id, now)
    if silence is None:
        raise not_found("silence")
    return silence


def _noted(silence: Silence) -> dict[str, object]:
    return {
        "match": msgspec.to_builtins(silence.match),
        "reason": silence.reason,
        "starts_at": silence.starts_at.isoformat(),
        "ends_at": silence.ends_at.isoformat(),
    }


router = Router(
    "/silences",
    route_handlers=[list_silences, create_silence, preview_silence, get_silence, change_silence, delete_silence],
    tags=["silences"],
)
