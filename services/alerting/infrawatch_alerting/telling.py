"""From notices to messages: what is told of hosts that are due."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from infrawatch_alerting.domain.message import title_and_text
from infrawatch_alerting.domain.notices import Channel, What
from infrawatch_alerting.store_notices import HostFacts, NoticeStore
from infrawatch_common.notices.matching import Kind

CHANNEL = "infrawatch_notices"
_AT_A_TIME = 100
_POLL = timedelta(seconds=5)
_SOON = 0.5


class Notifier:
    """Decides what is told of hosts that are due; ``wake`` is called when there may be something to send."""

    def __init__(
        self,
        store: NoticeStore,
        wake: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._wake = wake
        self._clock = clock

    async def tell(self) -> float:
        """Decide of all hosts that are due; in how many seconds the next one is."""
        looked = _AT_A_TIME
        while looked == _AT_A_TIME:
            looked = await self._store.tell_due(self._clock(), _AT_A_TIME)
            self._wake()
        now = self._clock()
        at = await self._store.next_look(now, now + _POLL)
        # What is due all the same is in another replica's hand.
        return max((at - now).total_seconds(), _SOON)


def compose(
    channel: Channel, host: HostFacts, items: Sequence[tuple[What, Mapping[str, Any]]], now: datetime
) -> dict[str, Any]:
    """A message as it is stored, and as a webhook gets it: an alert, unless it tells of drift alone."""
    told = [{"what": what.value, "event": dict(event)} for what, event in items]
    late = any(event["late"] for _, event in items)
    named = {"id": host.id, "name": host.name, "tags": dict(host.tags)}
    title, text = title_and_text(named, told, late, now)
    return {
        "type": (Kind.DRIFT if all(what is What.CHANGED for what, _ in items) else Kind.ALERT).value,
        "channel": channel.name,
        "host": named,
        "late": late,
        "items": told,
        "title": title,
        "text": text,
    }
