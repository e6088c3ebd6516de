"""What is to be told: which hosts are to be looked at, and what was decided of them, in one transaction."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from infrawatch_alerting.domain.notices import Channel, Decision, HostNotices, Notice, Silence, Told, What
from infrawatch_common.database import Connection, Pool, columns
from infrawatch_common.notices.matching import Kind, Match

# Another replica may have some of them in hand: those are its own to decide.
_TAKE = """
SELECT host_id FROM notice_hosts WHERE look_at <= $1 ORDER BY look_at, host_id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_NOTICES = """
SELECT host_id, id, found_at, event, ended, kind FROM notices WHERE host_id = ANY ($1) ORDER BY fired_at, id
"""
_TOLD = """
SELECT host_id, notice_id, channel_id, told_at, notices_told.ended
FROM notices_told JOIN notices ON notices.id = notice_id WHERE host_id = ANY ($1)
"""
# Drift is settled as soon as it is told, and may be found anew: what was told of it is in the messages. A snapshot that
# comes late can have another show more than it did. By the index, notice by notice, however many messages there are.
_TOLD_BEFORE = """
SELECT n.host_id, n.id, channel_id, told_at
FROM notices AS n CROSS JOIN LATERAL (
    SELECT channel_id, max(created_at) AS told_at FROM notifications
    WHERE jsonb_path_query_array(message, '$.items[*].event.id') @> jsonb_build_array(n.id::text)
      AND jsonb_path_query_array(message, '$.items[*].event.changes[*].id')
          @> jsonb_path_query_array(n.event, '$.changes[*].id')
    GROUP BY channel_id
) AS told
WHERE n.id = ANY ($1)
"""
_MESSAGES = """
SELECT host_id, channel_id, max(created_at) FROM notifications
WHERE channel_id = ANY ($1) AND host_id = ANY ($2) AND created_at > $3 AND resent_of IS NULL
GROUP BY host_id, channel_id
"""
_HOSTS = "SELECT id, name, tags FROM hosts WHERE id = ANY ($1)"
_CHANNELS = """
SELECT id, name, routes, send_resolved, group_interval, repeat_interval FROM channels WHERE enabled ORDER BY id
"""
_SILENCES = "SELECT match, starts_at, ends_at FROM silences WHERE ends_at > $1 ORDER BY id"
_SEND = """
INSERT INTO notifications (id, channel_id, channel, host_id, message, created_at, next_attempt_at)
SELECT id, channel_id, channel, host_id, message, $6, $6
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[])
    AS new (id, channel_id, channel, host_id, message)
"""
_KEEP_TOLD = """
INSERT INTO notices_told (notice_id, channel_id, told_at, ended)
SELECT notice_id, channel_id, $4, ended FROM unnest($1::uuid[], $2::uuid[], $3::boolean[])
    AS new (notice_id, channel_id, ended)
ON CONFLICT (notice_id, channel_id) DO UPDATE SET told_at = excluded.told_at, ended = excluded.ended
"""
_SETTLE = "DELETE FROM notices WHERE id = ANY ($1)"
_FORGET = "DELETE FROM notice_hosts WHERE host_id = ANY ($1)"
_LOOK = """
UPDATE notice_hosts SET look_at = coalesce(new.look_at, 'infinity')
FROM unnest($1::text[], $2::timestamptz[]) AS new (host_id, look_at)
WHERE notice_hosts.host_id = new.host_id
"""
_NEXT = "SELECT least(greatest(min(look_at), $1), $2) FROM notice_hosts"


class HostFacts(NamedTuple):
    """How a host is called when it is told of."""

    id: str
    name: str
    tags: Mapping[str, str]


Decide = Callable[[HostNotices, Sequence[Channel], Sequence[Silence], datetime], Decision]
Compose = Callable[[Channel, HostFacts, Sequence[tuple[What, Mapping[str, Any]]], datetime], Mapping[str, Any]]


class NoticeStore:
    """Tables ``notices``, ``notices_told``, ``notice_hosts``; messages go to ``notifications``.

    Errors of the moment are the caller's to repeat; nothing is kept of a transaction that failed.
    """

    def __init__(self, pool: Pool, decide: Decide, compose: Compose) -> None:
        self._pool = pool
        self._decide = decide
        self._compose = compose

    async def tell_due(self, now: datetime, most: int) -> int:
        """Decide what is told of hosts that are due, at most so many; how many there were."""
        async with self._pool.acquire() as connection, connection.transaction():
            host_ids = [row["host_id"] for row in await connection.fetch(_TAKE, now, most)]
            if not host_ids:
                return 0
            channels = [_channel(row) for row in await connection.fetch(_CHANNELS)]
            known = {host_id: HostFacts(host_id, host_id, {}) for host_id in host_ids}  # a purged host is still told of
            for row in await connection.fetch(_HOSTS, host_ids):
                known[row["id"]] = HostFacts(row["id"], row["name"], json.loads(row["tags"]))
            hosts = await self._read(connection, known, channels, now)
            oldest = min((notice.found_at for host in hosts for notice in host.notices), default=now)
            silences = [_silence(row) for row in await connection.fetch(_SILENCES, oldest)]
            decisions = [(host, self._decide(host, channels, silences, now)) for host in hosts]
            await self._send(connection, decisions, channels, known, now)
            await self._look_again(connection, decisions)
            return len(host_ids)

    async def next_look(self, now: datetime, latest: datetime) -> datetime:
        """When the next host is due, but at the latest then."""
        at: datetime = await self._pool.fetchval(_NEXT, now, latest)
        return at

    async def _read(
        self, connection: Connection, known: Mapping[str, HostFacts], channels: Sequence[Channel], now: datetime
    ) -> list[HostNotices]:
        host_ids = list(known)
        notices: dict[str, list[Notice]] = defaultdict(list)
        told: dict[str, dict[tuple[UUID, UUID], Told]] = defaultdict(dict)
        messages: dict[str, dict[UUID, datetime]] = defaultdict(dict)
        for host_id, identifier, found_at, event, ended, kind in await connection.fetch(_NOTICES, host_ids):
            notices[host_id].append(Notice(identifier, found_at, json.loads(event), ended, Kind(kind)))
        drift = [one.id for some in notices.values() for one in some if one.kind is Kind.DRIFT]
        told_before = await connection.fetch(_TOLD_BEFORE, drift) if drift else []
        for host_id, notice_id, channel_id, told_at in told_before:
            told[host_id][notice_id, channel_id] = Told(told_at, ended=True)
        for host_id, notice_id, channel_id, told_at, ended in await connection.fetch(_TOLD, host_ids):
            told[host_id][notice_id, channel_id] = Told(told_at, ended)
        longest = max((channel.group_interval for channel in channels), default=timedelta(0))
        ids = [channel.id for channel in channels]
        for host_id, channel_id, at in await connection.fetch(_MESSAGES, ids, host_ids, now - longest):
            messages[host_id][channel_id] = at
        return [HostNotices(one, known[one].tags, notices[one], told[one], messages[one]) for one in host_ids]

    async def _send(
        self,
        connection: Connection,
        decisions: Sequence[tuple[HostNotices, Decision]],
        channels: Sequence[Channel],
        known: Mapping[str, HostFacts],
        now: datetime,
    ) -> None:
        messages, told = [], []
        by_id = {channel.id: channel for channel in channels}
        for host, decision in decisions:
            for channel_id, items in decision.messages.items():
                channel = by_id[channel_id]
                events = [(item.what, item.notice.event) for item in items]
                message = self._compose(channel, known[host.host_id], events, now)
                messages.append((uuid4(), channel_id, channel.name, host.host_id, json.dumps(message)))
                told += [(item.notice.id, channel_id, item.notice.ended) for item in items]
        if messages:
            await connection.execute(_SEND, *columns(messages), now)
            await connection.execute(_KEEP_TOLD, *columns(told), now)

    async def _look_again(self, connection: Connection, decisions: Sequence[tuple[HostNotices, Decision]]) -> None:
        settled = [notice_id for _, decision in decisions for notice_id in decision.settled]
        if settled:
            await connection.execute(_SETTLE, settled)
        done = [host.host_id for host, decision in decisions if len(decision.settled) == len(host.notices)]
        if done:
            await connection.execute(_FORGET, done)
        later = [(host.host_id, decision.look_at) for host, decision in decisions]
        await connection.execute(_LOOK, *columns(later))


def _channel(row: Any) -> Channel:
    values = dict(row)
    return Channel(**values | {"routes": [Match.from_json(route) for route in json.loads(values["routes"])]})


def _silence(row: Any) -> Silence:
    return Silence(Match.from_json(json.loads(row["match"])), row["starts_at"], row["ends_at"])
