"""How messages leave: signed webhooks, and whatever Apprise knows."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from infrawatch_alerting.domain.message import mood_of
from infrawatch_alerting.sending.apprise_sender import AppriseSender
from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome
from infrawatch_alerting.sending.threads import Threads
from infrawatch_alerting.sending.webhook import WebhookSender
from infrawatch_alerting.settings import Settings
from infrawatch_common.notices.sealing import Secrets

__all__ = ["Delivered", "Failed", "Outcome", "Senders"]

# Of one channel; what hangs in them hangs for that channel alone.
_THREADS = 2


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Senders:
    """Sends to channels of every kind. Whatever goes wrong is an outcome."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _utc_now) -> None:
        threads = Threads(_THREADS)
        targets, most = settings.targets, settings.notify_response_max
        self._webhook = WebhookSender(targets, settings.notify_timeout, most, threads)
        self._apprise = AppriseSender(targets, settings.apprise_timeout, most, threads)
        self._clock = clock

    async def send(
        self, kind: str, secrets: Secrets, notification_id: UUID, channel_id: UUID, body: dict[str, Any]
    ) -> Outcome:
        """Send a message to a channel of kind ``webhook``, which gets ``body``, or ``apprise``, which gets its text.

        It takes at most ``notify_timeout`` or ``apprise_timeout`` seconds.
        """
        if kind == "webhook":
            return await self._webhook.send(channel_id, secrets, notification_id, body, self._clock())
        return await self._apprise.send(channel_id, secrets.url, body["title"], body["text"], mood_of(body["items"]))

    async def ping(self, url: str) -> Outcome:
        """Get a URL, guarded as webhooks are."""
        return await self._webhook.get(url)

    async def close(self) -> None:
        """Nothing is kept open between messages; threads that hang end with the process."""
