"""Channels that are webhooks on this machine, and what a message says."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import psycopg

from infrawatch_common.notices.sealing import Sealer, Secrets
from infrawatch_local.ports import LOOPBACK
from records import MASTER_SECRET
from stack import Database

_CHANNEL = """
INSERT INTO channels (name, kind, target, sealed, routes, group_interval)
VALUES (%s, 'webhook', %s, %s, '[{}]', INTERVAL '0')
"""
# What `private_targets` must be of an alerting that tells receivers on this machine.
PRIVATE = f"{LOOPBACK}/32"


def add_channel(database: Database, name: str, url: str) -> None:
    """A webhook that is told of everything at once."""
    signing = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    sealed = Sealer(MASTER_SECRET.encode()).seal(Secrets(url, signing))
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(_CHANNEL, [name, url, sealed])


def events_of(message: Mapping[str, Any], what: str) -> Iterator[Mapping[str, Any]]:
    """The events of a message of ours of which it tells this."""
    return (item["event"] for item in message["items"] if item["what"] == what)


def begun_and_ended(message: Mapping[str, Any]) -> tuple[frozenset[UUID], frozenset[UUID]]:
    """Ids of the events that a message of ours says have begun, and of those that it says have ended."""
    fired, resolved = list(events_of(message, "fired")), list(events_of(message, "resolved"))
    over = [event for event in (*fired, *resolved) if event.get("resolved_at")]
    return frozenset(UUID(event["id"]) for event in fired), frozenset(UUID(event["id"]) for event in over)
