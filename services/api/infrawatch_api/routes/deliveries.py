"""Deliveries: every attempt to send a message."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from infrawatch_api.api import ActDependency, ApiDependency, CallerDependency
from infrawatch_api.contract.channels import QueuedMessage
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.deliveries import Delivery, DeliveryWithMessage
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.deliveries import MessageState, Outcome
from infrawatch_api.domain.inputs import period
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, not_found
from infrawatch_api.routes.parameters import HostIdFilter, checked_host_id
from infrawatch_api.store import channels, deliveries, notifications
from infrawatch_common.drift.notice_ids import drift_notice_id

_DeliveryId = Annotated[UUID, PathParameter(description="Id of a delivery.")]


@get("/", guards=[requires(Role.VIEWER)], operation_id="listDeliveries", summary="List deliveries")
async def list_deliveries(  # noqa: PLR0913 - each filter is a parameter
    *,
    api: ApiDependency,
    channel_id: Annotated[UUID | None, QueryParameter(description="Id of a channel, which may be deleted.")] = None,
    host_id: HostIdFilter = None,
    outcome: Annotated[Outcome | None, QueryParameter(description="How the attempt went.")] = None,
    notification_id: Annotated[UUID | None, QueryParameter(description="Id of the message.")] = None,
    event_id: Annotated[UUID | None, QueryParameter(description="Id of an alert event that was told.")] = None,
    snapshot_id: Annotated[UUID | None, QueryParameter(description="Id of a snapshot whose changes were told.")] = None,
    start: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 time at or after which they began.")
    ] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="RFC 3339 time before which they began.")] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[Delivery]:
    """Every attempt to send a message, newest first. All filters must hold."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    since, until = period(start, end)
    host_id = checked_host_id(host_id)
    async with api.database.transaction() as connection:
        about = await deliveries.messages_about(connection, _told_of(event_id, snapshot_id))
        filters = deliveries.Filters(channel_id, host_id, outcome, notification_id, about, since, until)
        found = await deliveries.page(connection, filters, wanted.after, wanted.fetch, api.clock())
    return wanted.page(found, lambda delivery: [delivery.started_at, delivery.id])


@get("/{delivery_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getDelivery", summary="Get a delivery")
async def get_delivery(api: ApiDependency, delivery_id: _DeliveryId) -> DeliveryWithMessage:
    """With the message as it was sent."""
    async with api.database.connection() as connection:
        delivery = await deliveries.get(connection, delivery_id, api.clock())
    if delivery is None:
        raise not_found("delivery")
    return delivery


@post(
    "/{delivery_id:uuid}/resend",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_202_ACCEPTED,
    opt={PROBLEMS: [409]},
    operation_id="resendDelivery",
    summary="Send a message again",
)
async def resend(
    api: ApiDependency, caller: CallerDependency, act: ActDependency, delivery_id: _DeliveryId
) -> QueuedMessage:
    """The same message goes to the same channel once more, under a new id. Not while it is being sent anyway, nor when
    the channel is gone or disabled (409).
    """
    async with api.database.transaction() as connection:
        delivery = await deliveries.get(connection, delivery_id, act.at)
        if delivery is None:
            raise not_found("delivery")
        channel = await channels.lock(connection, delivery.channel_id)
        if refusal := _refusal(delivery, channel):
            raise ProblemError(Kind.CONFLICT, refusal)
        notification_id = await notifications.repeat(connection, delivery.notification_id, caller.user_id, act.at)
        if notification_id is None:
            raise not_found("delivery")
        detail = {"resent_of": str(delivery.notification_id), "notification_id": str(notification_id)}
        await act.write(connection, Action.DELIVERY_RESENT, str(delivery_id), channel=delivery.channel, **detail)
    return QueuedMessage(notification_id)


def _told_of(event_id: UUID | None, snapshot_id: UUID | None) -> list[UUID]:
    """Ids, as messages have them, of all that shall have been told."""
    drift = drift_notice_id(snapshot_id) if snapshot_id is not None else None
    return [one for one in (event_id, drift) if one is not None]


def _refusal(delivery: Delivery, channel: channels.Stored | None) -> str | None:
    if channel is None:
        return f"Channel {delivery.channel} is gone."
    if not channel.definition.enabled:
        return f"Channel {delivery.channel} is disabled: nothing is sent to it. Enable it first."
    if delivery.state is MessageState.WAITING:
        return "The message is still being sent; it is tried again by itself until it arrives or is given up."
    return None


router = Router("/deliveries", route_handlers=[list_deliveries, get_delivery, resend], tags=["deliveries"])
