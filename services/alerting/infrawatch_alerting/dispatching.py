"""Messages on their way to channels: none waits for another channel, and each arrives at least once."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from infrawatch_alerting.domain.attempts import next_attempt
from infrawatch_alerting.listening import wait
from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_alerting.sending import Delivered, Failed
from infrawatch_alerting.settings import Settings
from infrawatch_alerting.store_messages import Attempt, MessageStore
from infrawatch_common.database import is_transient
from infrawatch_common.logs import get_logger
from infrawatch_common.notices.sealing import Sealer, Secrets, UnsealError

_POLL = 5.0
_SOON = 0.5
# Beyond the time that sending may take: for writing down what came of it.
_MARGIN = timedelta(seconds=5)
_FINISH = 3.0
_HOUSEKEEPING = timedelta(minutes=1)

_log = get_logger(__name__)


class Sends(Protocol):
    """What brings a message to its receiver; errors are outcomes."""

    async def send(  # noqa: D102
        self, kind: str, secrets: Secrets, notification_id: UUID, channel_id: UUID, body: dict[str, Any]
    ) -> Delivered | Failed: ...


class Dispatcher:
    """Sends what waits: to each channel so many messages at a time, so that none waits for another channel.

    A message that could not be delivered is sent again, later each time, until it is given up.
    """

    def __init__(
        self,
        store: MessageStore,
        senders: Sends,
        sealer: Sealer,
        settings: Settings,
        metrics: AlertingMetrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._senders = senders
        self._sealer = sealer
        self._metrics = metrics
        self._clock = clock
        self._at_once = settings.notify_concurrency
        self._lease = timedelta(seconds=max(settings.notify_timeout, settings.apprise_timeout)) + _MARGIN
        self._longest = timedelta(seconds=settings.notify_back_off_max)
        self._give_up_after = timedelta(seconds=settings.notify_give_up_after)
        self._under_way: set[asyncio.Task[None]] = set()
        self._busy: Counter[UUID] = Counter()
        self._woken = asyncio.Event()
        self._error: BaseException | None = None
        self._next_housekeeping = datetime.min.replace(tzinfo=UTC)

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send, for ever."""
        try:
            while True:
                self._woken.clear()
                if self._error is not None:
                    raise self._error
                try:
                    pause = await self.send_due()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    _log.warning("messages are not sent, trying again", error=f"{type(error).__name__}: {error}")
                    pause = _SOON
                await wait(self._woken, pause)
        finally:
            await self._finish()

    async def send_due(self) -> float:
        """Begin to send what is due; in how many seconds there is more."""
        now = self._clock()
        if now >= self._next_housekeeping:
            await self._keep_house(now)
        queues = await self._store.queues()
        self._metrics.messages_waiting.set(sum(queue.waiting for queue in queues))
        for queue in queues:
            free = self._at_once - self._busy[queue.channel_id]
            if queue.due_at <= now and free > 0:
                for attempt in await self._store.claim(queue.channel_id, now, now + self._lease, free):
                    self._begin(attempt)
        later = [(queue.due_at - now).total_seconds() for queue in queues if queue.due_at > now]
        return min([_POLL, *later])

    def _begin(self, attempt: Attempt) -> None:
        self._busy[attempt.channel_id] += 1
        task = asyncio.create_task(self._attempt(attempt))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error
        self._woken.set()

    async def _attempt(self, attempt: Attempt) -> None:
        try:
            outcome = await self._send(attempt)
            await self._keep_outcome(attempt, outcome)
        except Exception as error:
            if not is_transient(error):
                raise
            # Its lease ends, and then it is sent again with the same key.
            _log.warning("an outcome is not kept", error=f"{type(error).__name__}: {error}")
        finally:
            self._busy[attempt.channel_id] -= 1

    async def _send(self, attempt: Attempt) -> Delivered | Failed:
        try:
            secrets = self._sealer.open(attempt.sealed)
        except UnsealError as error:
            return Failed(str(error))
        body = {"id": str(attempt.notification_id), "sent_at": self._clock().isoformat(), **attempt.message}
        return await self._senders.send(attempt.kind, secrets, attempt.notification_id, attempt.channel_id, body)

    async def _keep_outcome(self, attempt: Attempt, outcome: Delivered | Failed) -> None:
        now = self._clock()
        if isinstance(outcome, Failed):
            self._metrics.deliveries.labels(attempt.kind, "failed").inc()
            again_at = next_attempt(attempt.number, now, self._longest)
            await self._store.failed(attempt, now, outcome.detail, again_at)
            return
        await self._store.delivered(attempt, now)
        self._metrics.deliveries.labels(attempt.kind, "delivered").inc()
        self._metrics.delivery_seconds.observe((now - attempt.created_at).total_seconds())

    async def _keep_house(self, now: datetime) -> None:
        detail = f"it could not be delivered within {self._give_up_after.total_seconds():.0f} s"
        given_up = await self._store.give_up(now, now - self._give_up_after, detail)
        self._metrics.given_up.inc(given_up)
        self._next_housekeeping = now + _HOUSEKEEPING

    async def _finish(self) -> None:
        """Let what is under way arrive, for a short time; what does not is sent again with the same key."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_FINISH)
        for task in self._under_way:
            task.cancel()
