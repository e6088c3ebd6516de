"""Channels: whom events are told to."""

from datetime import datetime, timedelta
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from infrawatch_api.api import ActDependency, Api, ApiDependency, CallerDependency
from infrawatch_api.contract.channels import (
    Channel,
    ChannelChange,
    ChannelSecret,
    CreatedChannel,
    NewChannel,
    QueuedMessage,
)
from infrawatch_api.contract.common import Page
from infrawatch_api.destinations import sealed_address
from infrawatch_api.domain.alert_rules import changes
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.channels import (
    Bounds,
    ChannelKind,
    Definition,
    merged,
    objections,
    strange_routes,
    trial_message,
)
from infrawatch_api.domain.matches import named
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, invalid_fields, not_found
from infrawatch_api.routes.parameters import ChannelIdParameter
from infrawatch_api.secrets import new_signing_secret
from infrawatch_api.store import channels, matches, notifications
from infrawatch_common.database import Connection
from infrawatch_common.notices.matching import Match
from infrawatch_common.notices.sealing import Secrets, UnsealError
from infrawatch_common.settings import variable

_NAME_TAKEN = "There is a channel with this name."


@get("/", guards=[requires(Role.VIEWER)], operation_id="listChannels", summary="List channels")
async def list_channels(api: ApiDependency, cursor: Cursor = None, limit: Limit = None) -> Page[Channel]:
    """Newest first, each with how many messages wait for it and how its latest deliveries went."""
    wanted = paging(cursor, limit, [datetime, UUID], default=api.settings.page_size, most=api.settings.page_size_max)
    async with api.database.connection() as connection:
        found = await channels.page(connection, wanted.after, wanted.fetch)
    return wanted.page(found, lambda channel: [channel.created_at, channel.id])


@post(
    "/",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_201_CREATED,
    opt={PROBLEMS: [409]},
    operation_id="createChannel",
    summary="Create a channel",
)
async def create_channel(
    data: JSONBody[NewChannel], api: ApiDependency, caller: CallerDependency, act: ActDependency
) -> CreatedChannel:
    """What fires now is told to it, too. The address is not shown again, nor is a webhook's signing secret. There is a
    most number of channels (409).
    """
    definition = Definition(**data.given())
    _refuse_excess(api, definition)
    secrets = Secrets(data.url, new_signing_secret() if data.kind is ChannelKind.WEBHOOK else None)
    address = await sealed_address(api, data.kind, secrets)
    async with api.database.transaction() as connection:
        await _refuse_strangers(connection, definition.routes)
        if await channels.lock_creation(connection) >= api.settings.channels_max:
            raise ProblemError(
                Kind.CONFLICT,
                f"There are as many channels as {variable('channels_max')} allows, {api.settings.channels_max};"
                " delete some, or raise it.",
            )
        try:
            channel = await channels.insert(connection, data.kind, address, definition, caller.user_id, act.at)
        except channels.NameTakenError as error:
            raise ProblemError(Kind.CONFLICT, _NAME_TAKEN) from error
        detail = {"kind": data.kind, "target": address.target, **definition.as_json()}
        await act.write(connection, Action.CHANNEL_CREATED, str(channel.id), **detail)
    fields = {name: getattr(channel, name) for name in channel.__struct_fields__}
    return CreatedChannel(**fields, signing_secret=secrets.signing_secret)


@get("/{channel_id:uuid}", guards=[requires(Role.VIEWER)], operation_id="getChannel", summary="Get a channel")
async def get_channel(api: ApiDependency, channel_id: ChannelIdParameter) -> Channel:
    """Get a channel."""
    async with api.database.connection() as connection:
        channel = await channels.get(connection, channel_id)
    if channel is None:
        raise not_found("channel")
    return channel


@patch(
    "/{channel_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    opt={PROBLEMS: [409]},
    operation_id="changeChannel",
    summary="Change a channel",
)
async def change_channel(
    data: JSONBody[ChannelChange], api: ApiDependency, act: ActDependency, channel_id: ChannelIdParameter
) -> Channel:
    """Fields that are absent stay. Messages that wait go to the new address."""
    async with api.database.transaction() as connection:
        stored = await _locked(connection, channel_id)
        if data.expected_changed_at() not in {None, stored.changed_at}:
            raise ProblemError(
                Kind.CONFLICT,
                f"The channel was changed at {stored.changed_at.isoformat()}; read it again and decide anew.",
            )
        after = merged(stored.definition, data.given())
        _refuse_excess(api, after)
        # What it names already may be gone by now, and need not be in the way of another change.
        await _refuse_strangers(connection, after.routes, known=stored.definition.routes)
        url = data.new_url()
        address = stored.address if url is None else await _moved(api, stored, url)
        noted: dict[str, object] = {
            "changes": changes(stored.as_json(), {**stored.as_json(), "target": address.target, **after.as_json()})
        }
        if address is not stored.address:
            noted["url"] = "changed"
        if noted != {"changes": {}}:
            try:
                await channels.update(connection, channel_id, address, after, act.at)
            except channels.NameTakenError as error:
                raise ProblemError(Kind.CONFLICT, _NAME_TAKEN) from error
            await act.write(connection, Action.CHANNEL_CHANGED, str(channel_id), **noted)
        return await channels.told(connection, channel_id)


@delete(
    "/{channel_id:uuid}",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_204_NO_CONTENT,
    operation_id="deleteChannel",
    summary="Delete a channel",
)
async def delete_channel(api: ApiDependency, act: ActDependency, channel_id: ChannelIdParameter) -> None:
    """Nothing more is sent to it. Its messages and their deliveries stay."""
    async with api.database.transaction() as connection:
        stored = await _locked(connection, channel_id)
        await channels.delete(connection, channel_id)
        await act.write(connection, Action.CHANNEL_DELETED, str(channel_id), **stored.as_json())


@post(
    "/{channel_id:uuid}/secret",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_200_OK,
    opt={PROBLEMS: [409]},
    operation_id="replaceChannelSecret",
    summary="Replace a webhook's signing secret",
)
async def replace_secret(api: ApiDependency, act: ActDependency, channel_id: ChannelIdParameter) -> ChannelSecret:
    """Messages are signed with the new one from now on. It is not shown again."""
    async with api.database.transaction() as connection:
        stored = await _locked(connection, channel_id)
        if stored.kind is not ChannelKind.WEBHOOK:
            raise ProblemError(Kind.CONFLICT, "Only webhooks have a signing secret.")
        secret = new_signing_secret()
        opened = _opened(api, stored)
        address = channels.Address(stored.address.target, api.sealer.seal(Secrets(opened.url, secret)))
        await channels.update(connection, channel_id, address, stored.definition, act.at)
        await act.write(connection, Action.CHANNEL_SECRET_REPLACED, str(channel_id), name=stored.definition.name)
    return ChannelSecret(secret)


@post(
    "/{channel_id:uuid}/test",
    guards=[requires(Role.OPERATOR)],
    status_code=HTTP_202_ACCEPTED,
    opt={PROBLEMS: [409]},
    operation_id="testChannel",
    summary="Send a test to a channel",
)
async def try_channel(
    api: ApiDependency, caller: CallerDependency, act: ActDependency, channel_id: ChannelIdParameter
) -> QueuedMessage:
    """Whatever its routes and silences are. How it went is in `/deliveries?notification_id=`."""
    async with api.database.transaction() as connection:
        stored = await _locked(connection, channel_id)
        name = stored.definition.name
        if not stored.definition.enabled:
            raise ProblemError(Kind.CONFLICT, "The channel is disabled: nothing is sent to it. Enable it first.")
        notification_id = await notifications.request_test(
            connection, channel_id, name, trial_message(name), caller.user_id, act.at
        )
        await act.write(
            connection, Action.CHANNEL_TESTED, str(channel_id), name=name, notification_id=str(notification_id)
        )
    return QueuedMessage(notification_id)


async def _locked(connection: Connection, channel_id: UUID) -> channels.Stored:
    stored = await channels.lock(connection, channel_id)
    if stored is None:
        raise not_found("channel")
    return stored


def _refuse_excess(api: Api, definition: Definition) -> None:
    settings = api.settings
    longest = timedelta(seconds=settings.channel_interval_max)
    found = objections(definition, Bounds(settings.channel_routes_max, settings.match_ids_max, longest))
    if found:
        raise invalid_fields(found)


async def _refuse_strangers(connection: Connection, routes: tuple[Match, ...], known: tuple[Match, ...] = ()) -> None:
    host_ids, alert_ids = (named(routes, name) - named(known, name) for name in ("host_ids", "alert_ids"))
    found = strange_routes(routes, await matches.unknown(connection, host_ids, alert_ids))
    if found:
        raise invalid_fields(found)


async def _moved(api: Api, stored: channels.Stored, url: str) -> channels.Address:
    """The address with another URL; a webhook keeps its signing secret."""
    signing_secret = _opened(api, stored).signing_secret if stored.kind is ChannelKind.WEBHOOK else None
    return await sealed_address(api, stored.kind, Secrets(url, signing_secret))


def _opened(api: Api, stored: channels.Stored) -> Secrets:
    try:
        return api.sealer.open(stored.address.sealed)
    except UnsealError as error:
        raise ProblemError(
            Kind.CONFLICT, "What it is signed with cannot be read any more; delete the channel and create it anew."
        ) from error


router = Router(
    "/channels",
    route_handlers=[
        list_channels,
        create_channel,
        get_channel,
        change_channel,
        delete_channel,
        replace_secret,
        try_channel,
    ],
    tags=["channels"],
)
