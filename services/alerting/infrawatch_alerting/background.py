"""What alerting does beside consuming: follows rules, tells silence, and says whether it is well."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition

from infrawatch_alerting.domain.positions import Sight
from infrawatch_alerting.handlers import AlertingHandler
from infrawatch_alerting.listening import follow
from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_common.consuming import BatchConsumer, HasConsumer
from infrawatch_common.database import Pool, is_transient
from infrawatch_common.logs import get_logger

_CHANNEL = "infrawatch_rules"
# Changes come in bursts; a host that is new to us is soon described.
_BURST, _SOON = 0.1, 1.0

_log = get_logger(__name__)


class Assignments(ConsumerRebalanceListener):
    """Tells the handler which partitions are its own."""

    def __init__(self, handler: AlertingHandler, topic: str) -> None:
        self._handler = handler
        self._topic = topic
        self.subscriber: HasConsumer | None = None

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing: whoever writes last with what it began from is right, and the other one notices."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """All that this replica has now."""
        consumer = self.subscriber.consumer if self.subscriber else None
        partitions = consumer.partitions_for_topic(self._topic) if consumer else None
        self._handler.assign({one.partition for one in assigned}, len(partitions or assigned))


class Silence:
    """Finds hosts that are silent, while the end of the topic is in sight."""

    def __init__(self, handler: AlertingHandler, sight: Sight, metrics: AlertingMetrics) -> None:
        self._handler = handler
        self._sight = sight
        self._metrics = metrics

    async def look(self, looked: float, undone: Mapping[int, int]) -> None:
        """The records of each partition that were undone then."""
        self._handler.looks()
        behind = {p: self._handler.done_until(p) if lag else None for p, lag in undone.items()}
        if any(lag and behind[p] is None for p, lag in undone.items()):
            self._metrics.heartbeats_held.set(1)
            return
        until, excused = self._sight.look(looked, behind)
        self._metrics.heartbeats_held.set(float(any(undone.values())))
        try:
            await self._handler.tell_silence(_time(until), None if excused is None else _time(excused))
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("silence is not told, trying again", error=f"{type(error).__name__}: {error}")


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def follow_rules(pool: Pool, handler: AlertingHandler, refresh: float) -> None:
    """Read rules and hosts whenever they change, and every ``refresh`` seconds, for ever."""

    async def read() -> float:
        done = await handler.refresh()
        return _SOON if handler.undescribed or not done else refresh

    await follow(pool, _CHANNEL, "reading of rules", read, burst=_BURST)


async def trouble(consumer: BatchConsumer[Any], pool: Pool) -> str | None:
    """What keeps alerting from its work, None if nothing does."""
    problem = await consumer.check()
    if problem is None:
        try:
            await pool.fetchval("SELECT 1")
        except Exception as error:
            if not is_transient(error):
                raise
            problem = f"{type(error).__name__}: {error}"
    return problem
