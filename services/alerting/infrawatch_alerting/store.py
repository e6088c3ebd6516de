"""Where alerting keeps what it decides, in one transaction: states, events, what is to be published, its position."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from infrawatch_alerting import store_history
from infrawatch_alerting.domain.fleet import HostChange, StoredEvent, StoredHistory, StoredHost, StoredState
from infrawatch_common.alerts.engine import Ended, Fired, Resolved, fired_at_of
from infrawatch_common.alerts.rules import Rule
from infrawatch_common.database import Connection, Pool, columns
from infrawatch_common.outbox import add_events, encoded

SERVICE = "alerting"

_BEGIN_AT = """
INSERT INTO consumer_offsets (service, topic, partition, next_offset) SELECT $1, $2, unnest($3::integer[]), 0
ON CONFLICT DO NOTHING
"""
_POSITIONS = """
SELECT partition, next_offset FROM consumer_offsets WHERE service = $1 AND topic = $2 AND partition = ANY ($3)
"""
# Names where each partition was when this batch was judged: another replica that has got further wins.
_ADVANCE = """
UPDATE consumer_offsets AS o SET next_offset = new.reached
FROM unnest($3::integer[], $4::bigint[], $5::bigint[]) AS new (partition, begin, reached)
WHERE service = $1 AND topic = $2 AND o.partition = new.partition AND next_offset = new.begin
"""
_STATES = "SELECT alert_id, host_id, version, since, fired_at FROM alert_states"
_HOSTS = "SELECT host_id, last_at, heard_at, distances FROM alert_hosts"
_FIRING = "SELECT alert_id, host_id, version, fired_at FROM alert_events WHERE resolved_at IS NULL"
_KEEP_HOSTS = """
INSERT INTO alert_hosts (host_id, last_at, heard_at, distances)
SELECT host_id, last_at, heard_at, array_remove(ARRAY[first, second, third], NULL)
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::interval[], $5::interval[], $6::interval[])
    AS new (host_id, last_at, heard_at, first, second, third)
ORDER BY host_id
ON CONFLICT (host_id) DO UPDATE
    SET last_at = excluded.last_at, heard_at = excluded.heard_at, distances = excluded.distances
"""
_KEEP_STATES = """
INSERT INTO alert_states (alert_id, host_id, version, since, fired_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::timestamptz[], $5::timestamptz[])
    AS new (alert_id, host_id, version, since, fired_at)
ORDER BY alert_id, host_id
ON CONFLICT (alert_id, host_id) DO UPDATE
    SET version = excluded.version, since = excluded.since, fired_at = excluded.fired_at
"""
_DROP_STATES = """
DELETE FROM alert_states USING unnest($1::uuid[], $2::text[]) AS ok (alert_id, host_id)
WHERE alert_states.alert_id = ok.alert_id AND alert_states.host_id = ok.host_id
"""
# What was found before, as when a topic is read again, stays as it is.
_FIRE = """
INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, threshold, severity,
                          since, fired_at, value, found_at, late)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[],
                     $8::float8[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::float8[],
                     $13::timestamptz[], $14::boolean[])
ON CONFLICT DO NOTHING
RETURNING *
"""
_RESOLVE = """
UPDATE alert_events AS e SET resolved_at = new.at, resolved_value = new.value, resolved_reason = new.reason
FROM unnest($1::uuid[], $2::timestamptz[], $3::float8[], $4::text[]) AS new (id, at, value, reason)
WHERE e.id = new.id AND resolved_at IS NULL
RETURNING e.*
"""
_LOCK_RULES = "SELECT id FROM alerts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"
_LOG = """
UPDATE alerts SET
    last_triggered = greatest(last_triggered, new.fired_at),
    log = CASE WHEN $4 = 0 THEN '[]'::jsonb
               ELSE jsonb_path_query_array(log || new.entries, '$[last - $others to last]',
                                           jsonb_build_object('others', $4::integer - 1)) END
FROM unnest($1::uuid[], $2::timestamptz[], $3::jsonb[]) AS new (id, fired_at, entries)
WHERE alerts.id = new.id
"""
# Hosts before their notices: in the order in which the notifier takes them.
_LOOK = """
INSERT INTO notice_hosts (host_id, look_at) SELECT host_id, '-infinity' FROM unnest($1::text[]) AS new (host_id)
ORDER BY host_id
ON CONFLICT (host_id) DO UPDATE SET look_at = excluded.look_at
"""
_NOTICE = """
INSERT INTO notices (id, host_id, fired_at, found_at, event)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::jsonb[])
"""
_END_NOTICE = """
UPDATE notices SET ended = true, event = new.event FROM unnest($1::uuid[], $2::jsonb[]) AS new (id, event)
WHERE notices.id = new.id
"""
# Of an event that was deleted with its host, what people were told goes on until they are told that it has ended.
_END_DELETED = """
UPDATE notices SET ended = true, event = notices.event || new.ended
FROM unnest($1::uuid[], $2::jsonb[]) AS new (id, ended)
WHERE notices.id = new.id AND NOT notices.ended
"""
_WAKE = "SELECT pg_notify('infrawatch_notices', 'events')"


class StaleError(Exception):
    """Another replica has got further with one of these partitions."""


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a partition has come: from the offset that was next to the one that is next."""

    begin: int
    reached: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What one transaction keeps. ``found_at`` is our clock's."""

    positions: Mapping[int, Advance]
    changes: Sequence[HostChange]
    found_at: datetime
    hosts: Sequence[StoredHost] = field(default_factory=tuple)
    histories: Sequence[StoredHistory] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was there of some partitions; all but the positions is that of all partitions."""

    positions: Mapping[int, int]
    states: Sequence[StoredState]
    hosts: Sequence[StoredHost]
    histories: Sequence[StoredHistory]
    firing: Sequence[StoredEvent]


def event_id(alert_id: UUID, host_id: str, fired_at: datetime) -> UUID:
    """The same for the same firing, whoever finds it."""
    return uuid5(NAMESPACE_URL, f"infrawatch:{alert_id}:{host_id}:{fired_at.isoformat()}")


class Store:
    """Reads and writes as role ``infrawatch_alerting``. Errors of the moment are the caller's to repeat."""

    def __init__(self, pool: Pool, topic: str, events_topic: str, late_after: timedelta, log_size: int) -> None:
        self._pool = pool
        self._topic = topic
        self._events_topic = events_topic
        self._late_after = late_after
        self._log_size = log_size

    async def load(self, partitions: Sequence[int]) -> Kept:
        """What was kept, and where these partitions go on; one that is new begins at 0."""
        async with self._pool.acquire() as connection:
            await connection.execute(_BEGIN_AT, SERVICE, self._topic, partitions)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                rows = await connection.fetch(_POSITIONS, SERVICE, self._topic, partitions)
                positions: dict[int, int] = {row["partition"]: row["next_offset"] for row in rows}
                states = [StoredState(*row) for row in await connection.fetch(_STATES)]
                hosts = [StoredHost(*row) for row in await connection.fetch(_HOSTS)]
                histories = await store_history.load(connection)
                firing = [StoredEvent(*row) for row in await connection.fetch(_FIRING)]
        return Kept(positions, states, hosts, histories, firing)

    async def write(self, decided: Decided) -> tuple[Sequence[Any], Sequence[Any]]:
        """Keep all of it, or nothing; the events that are new and those that ended. Raises ``StaleError``."""
        async with self._pool.acquire() as connection, connection.transaction():
            await self._advance(connection, decided.positions)
            if decided.hosts:
                await connection.execute(_KEEP_HOSTS, *columns([_host(host) for host in decided.hosts]))
            if decided.histories:
                await store_history.keep(connection, decided.histories)
            if not decided.changes:
                return (), ()
            await self._keep_states(connection, decided.changes)
            return await self._keep_events(connection, decided)

    async def _advance(self, connection: Connection, positions: Mapping[int, Advance]) -> None:
        ordered = sorted(positions.items())
        status = await connection.execute(
            _ADVANCE,
            SERVICE,
            self._topic,
            [partition for partition, _ in ordered],
            [advance.begin for _, advance in ordered],
            [advance.reached for _, advance in ordered],
        )
        if int(status.rpartition(" ")[2]) != len(ordered):
            raise StaleError

    async def _keep_states(self, connection: Connection, changes: Sequence[HostChange]) -> None:
        latest = {(change.alert_id, host_id): change for host_id, change in changes if not change.back_filled}
        kept = [
            (alert_id, host_id, change.rule.version, change.state.since, fired_at_of(change.state))
            for (alert_id, host_id), change in latest.items()
            if change.state is not None and change.rule is not None
        ]
        ok = [key for key, change in latest.items() if change.state is None]
        if kept:
            await connection.execute(_KEEP_STATES, *columns(kept))
        if ok:
            await connection.execute(_DROP_STATES, *columns(ok))

    async def _keep_events(self, connection: Connection, decided: Decided) -> tuple[Sequence[Any], Sequence[Any]]:
        fired = [
            self._event(change.rule, host_id, change.transition, decided.found_at, back_filled=change.back_filled)
            for host_id, change in decided.changes
            if isinstance(change.transition, Fired) and change.rule is not None
        ]
        ended = [
            (
                event_id(change.alert_id, host_id, change.transition.fired_at),
                change.transition.at,
                change.transition.value,
                change.transition.reason.value,
            )
            for host_id, change in decided.changes
            if isinstance(change.transition, Resolved)
        ]
        new = await connection.fetch(_FIRE, *columns(fired)) if fired else []
        resolved = await connection.fetch(_RESOLVE, *columns(ended)) if ended else []
        told = [("fired", row) for row in new] + [("resolved", row) for row in resolved]
        if told:
            await self._publish(connection, told)
            await self._note(connection, new, resolved)
            await self._log(connection, told)
        await self._end_deleted(connection, decided.changes)
        return new, resolved

    def _event(
        self, rule: Rule, host_id: str, fired: Fired, found_at: datetime, *, back_filled: bool
    ) -> tuple[object, ...]:
        identifier = event_id(rule.id, host_id, fired.at)
        what = (rule.name, rule.metric.value, rule.comparison.value, rule.threshold, rule.severity.value)
        late = back_filled or found_at - fired.at > self._late_after
        return identifier, rule.id, rule.version, host_id, *what, fired.since, fired.at, fired.value, found_at, late

    async def _publish(self, connection: Connection, told: Sequence[tuple[str, Any]]) -> None:
        events = [encoded(row["host_id"], _message(kind, row)) for kind, row in told]
        await add_events(connection, SERVICE, self._events_topic, events)

    async def _note(self, connection: Connection, new: Sequence[Any], resolved: Sequence[Any]) -> None:
        await connection.execute(_LOOK, sorted({row["host_id"] for row in (*new, *resolved)}))
        if new:
            begun = [
                (row["id"], row["host_id"], row["fired_at"], row["found_at"], json.dumps(_message("fired", row)))
                for row in new
            ]
            await connection.execute(_NOTICE, *columns(begun))
        if resolved:
            ended = [(row["id"], json.dumps(_message("resolved", row))) for row in resolved]
            await connection.execute(_END_NOTICE, *columns(ended))
        await connection.execute(_WAKE)

    async def _end_deleted(self, connection: Connection, changes: Sequence[HostChange]) -> None:
        deleted = [
            (host_id, change.alert_id, change.transition)
            for host_id, change in changes
            if isinstance(change.transition, Resolved) and change.transition.reason is Ended.HOST_DELETED
        ]
        if deleted:
            await connection.execute(_LOOK, sorted({host_id for host_id, _, _ in deleted}))
            rows = [
                (event_id(alert_id, host_id, ended.fired_at), json.dumps(_end_of(ended)))
                for host_id, alert_id, ended in deleted
            ]
            await connection.execute(_END_DELETED, *columns(rows))
            await connection.execute(_WAKE)

    async def _log(self, connection: Connection, told: Sequence[tuple[str, Any]]) -> None:
        entries: dict[UUID, list[dict[str, Any]]] = {}
        newest: dict[UUID, datetime] = {}
        for kind, row in told:
            alert_id = row["alert_id"]
            at = row["fired_at"] if kind == "fired" else row["resolved_at"]
            entry = {"event": kind, "id": str(row["id"]), "host_id": row["host_id"], "at": at.isoformat()}
            entries.setdefault(alert_id, []).append(entry)
            newest[alert_id] = max(newest.get(alert_id, row["fired_at"]), row["fired_at"])
        ids = sorted(entries)
        await connection.execute(_LOCK_RULES, ids)
        logs = [json.dumps(entries[one][-self._log_size :] if self._log_size else []) for one in ids]
        await connection.execute(_LOG, ids, [newest[one] for one in ids], logs, self._log_size)


def _host(host: StoredHost) -> tuple[object, ...]:
    first, second, third = (*host.distances, None, None, None)[:3]
    return host.host_id, host.last_at, host.heard_at, first, second, third


def _end_of(ended: Resolved) -> dict[str, Any]:
    """What the end adds to an event as other systems read it."""
    return {
        "event": "resolved",
        "resolved_at": ended.at.isoformat(),
        "resolved_value": ended.value,
        "resolved_reason": ended.reason.value,
    }


def _message(kind: str, row: Any) -> dict[str, Any]:
    """An event as other systems read it."""
    message = {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in dict(row).items()
        if kind == "resolved" or not name.startswith("resolved")
    }
    return {"event": kind, **message}
