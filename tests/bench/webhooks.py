"""A server that takes the webhooks of both: ours and Alertmanager's."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiohttp import web

from receivers import receiving
from webhook_channels import events_of

Message = Mapping[str, Any]
OURS, THEIRS = "/ours", "/theirs"


def fired_by_us(message: Message) -> list[tuple[str, datetime]]:
    """Host and time of each event that a message of ours says has begun."""
    return [(event["host_id"], datetime.fromisoformat(event["fired_at"])) for event in events_of(message, "fired")]


def firing_at_theirs(message: Message) -> list[str]:
    """Hosts of the alerts that a message of Alertmanager says fire."""
    return [alert["labels"]["host"] for alert in message["alerts"] if alert["status"] == "firing"]


@asynccontextmanager
async def webhooks(
    ours: Callable[[Message, float], None], theirs: Callable[[Message, float], None]
) -> AsyncIterator[str]:
    """Serve at the address given; each message is handed on with the time (Unix) at which it was whole."""
    parties = {OURS: ours, THEIRS: theirs}

    async def take(request: web.Request) -> web.Response:
        await request.read()
        at = time.time()
        parties[request.path](await request.json(), at)
        return web.Response(status=204)

    async with receiving(take) as receiver:
        yield receiver.url
