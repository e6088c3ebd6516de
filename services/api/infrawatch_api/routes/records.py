"""The audit log and the dead letters, for administrators."""

from datetime import datetime
from typing import Annotated

from litestar import Router, get
from litestar.params import PathParameter, QueryParameter

from infrawatch_api.api import ActDependency, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.records import AuditEntry, DeadLetter, DeadLetterWithBody
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.inputs import plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import not_found
from infrawatch_api.routes.parameters import checked_host_id
from infrawatch_api.store import audit, dead_letters
from infrawatch_common.events import Reason

_POSITION = (datetime, str, str, int, int)


@get(
    "/audit-log",
    guards=[requires(Role.ADMIN)],
    operation_id="listAuditLog",
    summary="Read the audit log",
)
async def list_audit_log(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[AuditEntry]:
    """Newest first."""
    wanted = paging(cursor, limit, [int], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await audit.page(connection, wanted.after[0] if wanted.after else None, wanted.fetch)
    return wanted.page(found, lambda entry: [entry.id])


@get(
    "/dead-letters",
    guards=[requires(Role.ADMIN)],
    operation_id="listDeadLetters",
    summary="List dead letters",
)
async def list_dead_letters(
    api: ApiDependency,
    service: Annotated[str | None, QueryParameter(max_length=64, description="The service that refused it.")] = None,
    reason: Annotated[Reason | None, QueryParameter(description="Why it was refused.")] = None,
    host_id: Annotated[str | None, QueryParameter(description="The host that it proves to come from.")] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[DeadLetter]:
    """Records that could not be used, newest first, without their bodies."""
    wanted = paging(cursor, limit, _POSITION, default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await dead_letters.page(
            connection,
            service=plain_text("service", service),
            reason=reason,
            host_id=checked_host_id(host_id),
            before=wanted.after,
            limit=wanted.fetch,
        )
    return wanted.page(
        found, lambda letter: [letter.created_at, letter.service, letter.topic, letter.partition, letter.offset]
    )


@get(
    "/dead-letters/{service:str}/{topic:str}/{partition:int}/{offset:int}",
    guards=[requires(Role.ADMIN)],
    operation_id="getDeadLetter",
    summary="Get a dead letter",
)
async def get_dead_letter(
    api: ApiDependency,
    act: ActDependency,
    service: Annotated[str, PathParameter(max_length=64, description="The service that refused it.")],
    topic: Annotated[str, PathParameter(max_length=249, description="Topic of the record.")],
    partition: Annotated[int, PathParameter(ge=0, le=2**31 - 1, description="Partition of the record.")],
    offset: Annotated[int, PathParameter(ge=0, le=2**63 - 1, description="Offset of the record.")],
) -> DeadLetterWithBody:
    """The record, whole; its key and value in base64."""
    if "\0" in service + topic:
        raise not_found("dead letter")
    async with api.database.transaction() as connection:
        letter = await dead_letters.get(connection, service, topic, partition, offset)
        if letter is None:
            raise not_found("dead letter")
        await act.write(connection, Action.DEAD_LETTER_READ, f"{service}/{topic}/{partition}/{offset}")
    return letter


router = Router("/", route_handlers=[list_audit_log, list_dead_letters, get_dead_letter], tags=["records"])
