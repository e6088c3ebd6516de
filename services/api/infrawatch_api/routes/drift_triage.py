"""Verdicts on changes: one at a time, or the same on many."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody, PathParameter
from litestar.status_codes import HTTP_200_OK

from infrawatch_api.api import Act, ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.drift_triage import NewVerdict, NewVerdicts, TriagedChange, TriagedChanges
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.drift_triage import objections
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, invalid_fields, not_found
from infrawatch_api.store import drift_triage
from infrawatch_api.store.drift_triage import Judgement
from infrawatch_common.database import Connection
from infrawatch_common.settings import variable

# Ids that an entry of the audit log lists, and those that an answer names.
_NOTED, _NAMED = 100, 5


@post(
    "/{change_id:uuid}/triage",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_200_OK,
    operation_id="triageChange",
    summary="Pass a verdict on a change",
)
async def triage_change(
    data: JSONBody[NewVerdict],
    api: ApiDependency,
    caller: CallerDependency,
    act: ActDependency,
    change_id: Annotated[UUID, PathParameter(description="Id of a change.")],
) -> TriagedChange:
    """The latest verdict counts, and all are kept. What is ``accepted`` becomes what the host may have: while it has
    it, it does not deviate; what was accepted of the same thing before ends. Any other verdict ends that.
    """
    judgement = _judgement(data, caller.user_id, act)
    async with api.database.transaction() as connection:
        await drift_triage.lock_verdicts(connection)
        judged = await drift_triage.judge(connection, [change_id], judgement)
        if not judged.changes:
            raise not_found("change")
        await act.write(connection, Action.DRIFT_TRIAGED, str(change_id), **_noted(data))
    return TriagedChange(
        id=change_id,
        host_id=judged.changes[change_id],
        verdict=data.verdict,
        reason=data.reason,
        at=act.at,
        by=act.actor,
        expires_at=data.expires_at,
        baseline=next(iter(judged.baselines), None),
    )


@post(
    "/triage",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_200_OK,
    opt={PROBLEMS: [409]},
    operation_id="triageChanges",
    summary="Pass a verdict on many changes",
)
async def triage_changes(
    data: JSONBody[NewVerdicts], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> TriagedChanges:
    """On all of them or on none. There is a most number of changes; ``dry_run`` tells how many they are."""
    judgement = _judgement(data, caller.user_id, act)
    async with api.database.transaction() as connection:
        if data.dry_run:
            return await _tried(api, connection, data)
        await drift_triage.lock_verdicts(connection)
        ids = await _meant(api, connection, data)
        judged = await drift_triage.judge(connection, ids, judgement)
        _refuse_strangers(ids, judged.changes)
        hosts = len(set(judged.changes.values()))
        await act.write(connection, Action.DRIFT_TRIAGED, None, **_noted(data), **_listed(data, ids, hosts))
    return TriagedChanges(dry_run=False, changes=len(ids), hosts=hosts, baselines=len(judged.baselines))


async def _tried(api: Api, connection: Connection, data: NewVerdicts) -> TriagedChanges:
    if data.like is not None:
        await _refuse_stranger(connection, data.like)
        changes, hosts = await drift_triage.count_like(connection, data.like)
    else:
        ids = _named(api, data.ids or [])
        found = await drift_triage.hosts_of(connection, ids)
        _refuse_strangers(ids, found)
        changes, hosts = len(ids), len(set(found.values()))
    return TriagedChanges(dry_run=True, changes=changes, hosts=hosts, baselines=None)


async def _meant(api: Api, connection: Connection, data: NewVerdicts) -> list[UUID]:
    if data.like is None:
        return _named(api, data.ids or [])
    await _refuse_stranger(connection, data.like)
    changes, _ = await drift_triage.count_like(connection, data.like)
    if changes > api.settings.drift_triage_max:
        raise ProblemError(
            Kind.CONFLICT,
            f"{changes} changes are like this one, and {variable('drift_triage_max')} allows"
            f" {api.settings.drift_triage_max} at a time; list them by ids in several requests, or raise it.",
        )
    return await drift_triage.ids_like(connection, data.like)


def _named(api: Api, ids: Sequence[UUID]) -> list[UUID]:
    if len(ids) > api.settings.drift_triage_max:
        raise invalid("ids", f"should be at most {api.settings.drift_triage_max}; send the others in another request")
    return list(dict.fromkeys(ids))


async def _refuse_stranger(connection: Connection, change_id: UUID) -> None:
    if not await drift_triage.hosts_of(connection, [change_id]):
        raise invalid("like", "should be the id of a change that there is")


def _refuse_strangers(ids: Sequence[UUID], found: Mapping[UUID, str]) -> None:
    strange = [str(one) for one in ids if one not in found]
    if strange:
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        raise invalid("ids", f"should be of changes that there are; there is no {', '.join(strange[:_NAMED])}{more}")


def _judgement(data: NewVerdict, caller: UUID, act: Act) -> Judgement:
    found = objections(data.verdict, data.expires_at, act.at)
    if found:
        raise invalid_fields(found)
    return Judgement(data.verdict, data.reason, act.at, caller, data.expires_at)


def _noted(data: NewVerdict) -> dict[str, object]:
    expires_at = data.expires_at.isoformat() if data.expires_at is not None else None
    return {"verdict": data.verdict, "reason": data.reason, "expires_at": expires_at}


def _listed(data: NewVerdicts, ids: Sequence[UUID], hosts: int) -> dict[str, object]:
    like = {"like": str(data.like)} if data.like is not None else {}
    return {"changes": len(ids), "hosts": hosts, "ids": [str(one) for one in ids[:_NOTED]], **like}


router = Router("/drift", route_handlers=[triage_change, triage_changes], tags=["drift triage"])
