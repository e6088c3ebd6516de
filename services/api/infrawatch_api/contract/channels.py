"""Channels: whom events are told to."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from pydantic import Field, StrictBool, StrictStr, StringConstraints, model_validator

from infrawatch_api.contract.common import ABSENT, Body, Duration, Moment, Name
from infrawatch_api.contract.matches import EventMatch, NewEventMatch
from infrawatch_api.domain.channels import ChannelKind

# Shown nowhere again: it holds passwords and tokens.
_Url = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x20\x7f]+$"),
    Field(repr=False, json_schema_extra={"writeOnly": True}),
]


class ChannelFailure(msgspec.Struct, frozen=True):
    """An attempt to send that failed: when, and why."""

    at: datetime
    detail: str | None


class Channel(msgspec.Struct, frozen=True):
    """A channel. ``target`` is where it sends, without its secrets; what any of ``routes`` matches is told.
    ``group_interval`` is the least time between two messages about a host; after ``repeat_interval`` what fires on is
    told again, never if it is null. ``waiting`` counts the messages that are still to be delivered. It is broken when
    ``last_failure`` is later than ``last_delivered_at``.
    """

    id: UUID
    name: str
    kind: ChannelKind
    target: str
    routes: list[EventMatch]
    send_resolved: bool
    group_interval: str
    repeat_interval: str | None
    enabled: bool
    created_at: datetime
    created_by: str | None
    changed_at: datetime
    waiting: int
    last_delivered_at: datetime | None
    last_failure: ChannelFailure | None


class ChannelSecret(msgspec.Struct, frozen=True):
    """What a webhook's messages are signed with, ``whsec_`` and base64 of 32 bytes; it is shown this once."""

    signing_secret: str

    def __repr__(self) -> str:
        return "ChannelSecret()"


class CreatedChannel(Channel, frozen=True):
    """A new channel. ``signing_secret`` is what a webhook's messages are signed with, shown this once; null for other
    kinds.
    """

    signing_secret: str | None

    def __repr__(self) -> str:
        return f"CreatedChannel(id={self.id!r}, name={self.name!r})"


class QueuedMessage(msgspec.Struct, frozen=True):
    """A message that waits to be sent. Its attempts are in deliveries, under ``notification_id``."""

    notification_id: UUID


class NewChannel(Body):
    """A channel to create. ``url`` is an Apprise URL, such as ``mailto://…`` or ``slack://…``, or a webhook's https
    address; it is never shown. Without ``routes`` everything is told, with an empty list nothing. ``group_interval`` is
    a minute by default, ``repeat_interval`` four hours.
    """

    name: Name
    kind: ChannelKind
    url: _Url
    routes: list[NewEventMatch] = Field(default_factory=lambda: [NewEventMatch()])
    send_resolved: StrictBool = True
    group_interval: Duration = Field(default_factory=lambda: timedelta(minutes=1))
    repeat_interval: Duration | None = Field(default_factory=lambda: timedelta(hours=4))
    enabled: StrictBool = True

    def given(self) -> dict[str, Any]:
        """All but the kind and the address."""
        return _decided({name: getattr(self, name) for name in type(self).model_fields.keys() - {"kind", "url"}})


class ChannelChange(Body):
    """What to change about a channel; fields that are absent stay as they are. A new ``url`` leaves a webhook's signing
    secret. With ``changed_at`` the change is refused (409) when the channel was changed at another time by now.
    """

    name: Name = ABSENT
    url: _Url = ABSENT
    routes: list[NewEventMatch] = ABSENT
    send_resolved: StrictBool = ABSENT
    group_interval: Duration = ABSENT
    repeat_interval: Duration | None = None
    enabled: StrictBool = ABSENT
    changed_at: Moment = ABSENT

    @model_validator(mode="after")
    def _something(self) -> "ChannelChange":
        if not self.given() and self.new_url() is None:
            msg = "should name at least one field to change"
            raise ValueError(msg)
        return self

    def given(self) -> dict[str, Any]:
        """The fields to change but the address, null among them."""
        return _decided({name: getattr(self, name) for name in self.model_fields_set - {"url", "changed_at"}})

    def new_url(self) -> str | None:
        """The address to change to, None for the one that it has."""
        return self.url if "url" in self.model_fields_set else None

    def expected_changed_at(self) -> datetime | None:
        """When what is to be changed was changed last, None for whenever."""
        return self.changed_at if "changed_at" in self.model_fields_set else None


def _decided(given: Mapping[str, Any]) -> dict[str, Any]:
    if "routes" not in given:
        return dict(given)
    return {**given, "routes": tuple(route.match() for route in given["routes"])}
