"""Ignore rules: which changes nobody is to be bothered with."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.drift_ignores import (
    CreatedDriftIgnore,
    DriftIgnore,
    IgnorePreview,
    IgnoreScope,
    NewDriftIgnore,
)
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.drift_ignores import contradictions, is_everything
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid, invalid_fields, not_found
from infrawatch_api.store import drift_ignore_previews, drift_ignores
from infrawatch_common.drift.ignoring import Ignore
from infrawatch_common.settings import variable

_DAYS = 30
# Of a rule that is not saved.
_NO_ID = UUID(int=0)


@get("/", guards=[requires(Role.VIEWER)], operation_id="listDriftIgnores", summary="List ignore rules")
async def list_drift_ignores(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[DriftIgnore]:
    """Newest first."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await drift_ignores.page(connection, wanted.after, wanted.fetch)
    return wanted.page(found, lambda rule: [rule.created_at, rule.id])


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createDriftIgnore",
    summary="Create an ignore rule",
)
async def create_drift_ignore(
    data: JSONBody[NewDriftIgnore], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> CreatedDriftIgnore:
    """What it covers is hidden, from before and from now on, by the tags that hosts have at that time. There is a most
    number of rules (409).
    """
    rule, wait = _checked(api, data), api.settings.drift_ignore_timeout
    if is_everything(rule) and not data.everything:
        raise invalid(
            "everything",
            "is needed for a rule that hides every change of every host; if you mean that, let it be true",
        )
    async with api.database.transaction() as connection:
        if await drift_ignores.lock(connection, wait) >= api.settings.drift_ignores_max:
            raise ProblemError(
                Kind.CONFLICT,
                f"There are as many ignore rules as {variable('drift_ignores_max')} allows,"
                f" {api.settings.drift_ignores_max}; delete some, or raise it.",
            )
        created = await drift_ignores.insert(connection, rule, data.reason, caller.user_id, act.at, wait)
        await act.write(
            connection, Action.DRIFT_IGNORE_CREATED, str(created.id), **_noted(created), changes=created.changes
        )
    return created


@post(
    "/preview",
    guards=[requires(Role.VIEWER)],
    status_code=HTTP_200_OK,
    operation_id="previewDriftIgnore",
    summary="What an ignore rule would have hidden",
)
async def preview_drift_ignore(
    data: JSONBody[IgnoreScope],
    api: ApiDependency,
    days: Annotated[
        int | None, QueryParameter(ge=1, le=3660, description=f"How many days to look back, {_DAYS} by default.")
    ] = None,
    limit: Limit = None,
) -> IgnorePreview:
    """Changes nothing. ``limit``: how many hosts, things and examples are listed, each."""
    rule, wait = _checked(api, data), api.settings.drift_ignore_timeout
    most = api.settings.drift_ignore_preview_days
    if days is not None and days > most:
        raise invalid("days", f"should be at most {most}")
    wanted = paging(None, limit, [], default=api.settings.page_size, most=api.settings.page_size_max).limit
    since = api.clock() - timedelta(days=days or min(_DAYS, most))
    async with api.database.transaction() as connection:
        await drift_ignores.allow(connection, wait)
        changes, left = await drift_ignore_previews.count(connection, rule, since)
        host_count, hosts = await drift_ignore_previews.hosts(connection, rule, since, wanted)
        subject_count, subjects = await drift_ignore_previews.subjects(connection, rule, since, wanted)
        examples = await drift_ignore_previews.examples(connection, rule, since, wanted)
    return IgnorePreview(
        everything=is_everything(rule),
        since=since,
        changes=changes,
        left=left,
        host_count=host_count,
        hosts=hosts,
        subject_count=subject_count,
        subjects=subjects,
        examples=examples,
    )


@delete(
    "/{rule_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteDriftIgnore",
    summary="Delete an ignore rule",
)
async def delete_drift_ignore(
    api: ApiDependency, act: ActDependency, rule_id: Annotated[UUID, PathParameter(description="Id of an ignore rule.")]
) -> None:
    """What it hid is shown again, unless another rule covers it."""
    wait = api.settings.drift_ignore_timeout
    async with api.database.transaction() as connection:
        await drift_ignores.lock(connection, wait)
        rule = await drift_ignores.get(connection, rule_id)
        if rule is None:
            raise not_found("ignore rule")
        await drift_ignores.delete(connection, rule_id, wait)
        await act.write(connection, Action.DRIFT_IGNORE_DELETED, str(rule_id), **_noted(rule))


def _checked(api: Api, data: IgnoreScope) -> Ignore:
    rule = data.rule(_NO_ID)
    found = contradictions(rule, api.settings.drift_ignore_globs_max)
    if found:
        raise invalid_fields(found)
    return rule


def _noted(rule: DriftIgnore) -> dict[str, object]:
    return {
        "category": rule.category,
        "sources": rule.sources,
        "names": rule.names,
        "selector": rule.selector,
        "reason": rule.reason,
    }


router = Router(
    "/drift/ignores",
    route_handlers=[list_drift_ignores, create_drift_ignore, preview_drift_ignore, delete_drift_ignore],
    tags=["drift triage"],
)
