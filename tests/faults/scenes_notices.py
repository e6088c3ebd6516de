"""Faults on the way to people: receivers that fail, hang or redirect; crashes between sending and writing it down."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from aiohttp import web

from faults.alert_verdicts import Firing, Post, backed_off, ledger_agrees, notified
from faults.alerts import Rule, Waves, add_hosts, add_rules, firings
from faults.verdicts import at_least, at_most
from faults.world import World
from receivers import receiving
from stack import eventually
from webhook_channels import PRIVATE, add_channel, begun_and_ended

_OK, _ERROR, _ELSEWHERE = 204, 500, 302
_HANG = 0  # no answer for longer than anybody waits
_UNAFFECTED = 5.0  # seconds
_RATE = 200


@dataclass
class Receivers:
    """One for each name; ``answers`` are to the attempts of each message: the last one to all that follow."""

    answers: Mapping[str, Sequence[int]]
    patience: float = 3.0
    posts: dict[str, list[Post]] = field(default_factory=lambda: defaultdict(list))
    _attempts: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def take(self, request: web.Request) -> web.StreamResponse:
        at, message = time.time(), await request.json()
        name, key = request.match_info["path"], message["id"]
        answers = self.answers[name]
        answer = answers[min(self._attempts[name, key], len(answers) - 1)]
        self._attempts[name, key] += 1
        self.posts[name].append(Post(key, *begun_and_ended(message), at, answer == _OK))
        if answer == _HANG:
            await asyncio.sleep(self.patience)
            answer = _ERROR
        return web.Response(status=answer, headers={"Location": "/elsewhere"} if answer == _ELSEWHERE else {})

    def told_everything(self, kept: Sequence[Firing]) -> bool:
        """Whether every receiver that there is a channel for has learned of all events."""
        return all(notified(self.posts[name], kept, 1000).holds for name in self.answers if name != "elsewhere")


async def unreliable_receivers(world: World) -> None:
    """Receivers that answer 500, hang and redirect, beside one that is well: each is told everything, it at once."""
    patience = world.scale.seconds(30, at_least=3)
    receivers = Receivers(
        {
            "well": [_OK],
            "failing": [_ERROR, _ERROR, _OK],
            "hanging": [_HANG, _OK],
            "redirecting": [_ELSEWHERE, _OK],
            "elsewhere": [_OK],
        },
        patience,
    )
    async with receiving(receivers.take) as receiver:
        await _begin(world, receiver.url, [name for name in receivers.answers if name != "elsewhere"])
        timeout = patience / 3
        await world.alerting(
            world.environment(notify_timeout=timeout, apprise_timeout=timeout, private_targets=PRIVATE)
        )
        async with world.under_load(_RATE, Waves(19, length=60)):
            await asyncio.sleep(world.scale.seconds(60, at_least=8))
        kept = await _all_told(world, receivers)
        attempts = await _attempts(world)
    for name in ("well", "failing", "hanging", "redirecting"):
        world.checks.append(notified(receivers.posts[name], kept, 0))
        world.checks.append(ledger_agrees(receivers.posts[name], attempts[name]))
    world.checks.append(backed_off(receivers.posts["failing"], [1.0, 2.0]))
    world.checks.append(at_most("redirect", "requests followed", len(receivers.posts["elsewhere"]), 0))
    slowest = await _slowest(world, receivers.posts["well"])
    world.checks.append(at_most("N well", "s from finding an event to the receiver that is well", slowest, _UNAFFECTED))


async def killed_while_sending(world: World) -> None:
    """SIGKILL while the receiver has a message in hand, so that its arrival is never written down; again and again."""
    taken = asyncio.Event()

    class Slow(Receivers):
        async def take(self, request: web.Request) -> web.StreamResponse:
            response = await super().take(request)
            taken.set()
            await asyncio.sleep(0.2)
            return response

    receivers = Slow({"people": [_OK]})
    crashes = world.scale.times(20, at_least=2)
    async with receiving(receivers.take) as receiver:
        await _begin(world, receiver.url, receivers.answers)
        alerting = await world.alerting(world.environment(notify_timeout=1, apprise_timeout=1, private_targets=PRIVATE))
        async with world.under_load(_RATE, Waves(18, length=60)):
            for _ in range(crashes):
                taken.clear()
                await asyncio.wait_for(taken.wait(), 30)
                await world.kill(alerting)
                await world.start(alerting)
        kept = await _all_told(world, receivers)
    posts = receivers.posts["people"]
    world.checks.append(notified(posts, kept, crashes))
    again = len(posts) - len({post.key for post in posts})
    world.checks.append(at_least("again", "messages that came again", again, 1))


async def _begin(world: World, url: str, names: Sequence[str] | Mapping[str, object]) -> None:
    await add_hosts(world.database, world.load.host_ids)
    await add_rules(world.database, [Rule()])
    for name in names:
        add_channel(world.database, name, f"{url}/{name}")


async def _all_told(world: World, receivers: Receivers) -> list[Firing]:
    """All events, once each receiver knows of all, or as long as is given: the judge sees what is missing."""
    await world.caught_up(60)
    kept = await firings(world.database)

    async def told() -> bool:
        return receivers.told_everything(kept)

    with suppress(TimeoutError):
        await eventually(told, world.scale.seconds(600, at_least=60))
    return kept


async def _attempts(world: World) -> Mapping[str, Mapping[str, int]]:
    """By channel and key, how many attempts the ledger has."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    async with world.database.admin() as connection:
        rows = await connection.fetch(
            "SELECT channel, n.id::text, count(*) FROM notifications n JOIN deliveries d ON d.notification_id = n.id"
            " GROUP BY channel, n.id"
        )
    for channel, key, count in rows:
        found[channel][key] = count
    return found


async def _slowest(world: World, posts: Sequence[Post]) -> float:
    """Most seconds from when an event was found until it was told."""
    async with world.database.admin() as connection:
        rows = await connection.fetch("SELECT id, found_at FROM alert_events")
    found: dict[UUID, float] = {row["id"]: row["found_at"].timestamp() for row in rows}
    return max(post.at - found[event] for post in posts for event in post.fired)
