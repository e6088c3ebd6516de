"""Hosts that drift: snapshots written through the drift service's own store."""

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from infrawatch_common.database import Pool, create_pool
from infrawatch_common.drift.content import Content, digest
from infrawatch_common.drift.default_rules import DEFAULT
from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.drift.severity import Outcome
from infrawatch_common.events.batch import Batch
from infrawatch_common.settings import DatabaseSettings
from infrawatch_drift.domain.findings import Policy
from infrawatch_drift.metrics import DriftMetrics
from infrawatch_drift.store import Store, Written
from records import NOW, FakeMessage, body
from stack import Database

SNAPSHOTS_TOPIC = "infrawatch.snapshots.v1"
EVENTS_TOPIC = "infrawatch.drift-events.v1"
POLICY = Policy(DEFAULT, timedelta(seconds=60), Outcome.WARNING)
SECOND = timedelta(seconds=1)
_offsets = itertools.count()

_ROWS = """
SELECT s.id, s.host_id, s.timestamp, s.confirmed_at, s.digest, s.os_info, s.kernel, s.packages, s.env_vars,
       (SELECT array_agg(f.category || '/' || f.source || '/' || f.name || '=' || f.value ORDER BY f.key)
        FROM unnest(s.facts) AS fact (id) JOIN facts AS f ON f.id = fact.id) AS facts
FROM snapshots AS s ORDER BY s.host_id, s.timestamp, s.id
"""
_CHANGES = """
SELECT id, host_id, snapshot_id, not_before, at, category, source, name, subject, action, direction, before, after,
       severity, reason, ignored_by, hidden
FROM drift_changes ORDER BY host_id, at, id
"""


def said(
    os_info: str = "Debian GNU/Linux 12",
    kernel: str = "6.1.0-18-amd64",
    packages: Mapping[str, Mapping[str, str]] | None = None,
    env_vars: Mapping[str, str] | None = None,
) -> Content:
    """What a snapshot says; one package and no variables, unless they are given."""
    return Content(os_info, kernel, packages or {"dpkg": {"openssl": "3.0.15-1"}}, env_vars or {})


def taken(
    host_id: str,
    at: datetime,
    content: Content,
    *,
    identifier: UUID | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[Snapshot, Any]:
    """A snapshot as the judge hands it to the store, with the message that it came in."""
    snapshot = Snapshot(identifier or uuid4(), host_id, at, digest(content), name or host_id, tags or {}, content)
    value = body(
        {
            "id": str(snapshot.id),
            "host_id": host_id,
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "os_info": content.os_info,
            "kernel": content.kernel,
            "packages": content.packages,
            "env_vars": content.env_vars,
            "host": {"name": snapshot.name, "tags": snapshot.tags},
            "agent": {"instance": "5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11", "sequence": 1},
        }
    )
    return snapshot, FakeMessage(value, host_id.encode(), topic=SNAPSHOTS_TOPIC, offset=next(_offsets))


def batch(snapshots: Iterable[tuple[Snapshot, Any]]) -> Batch[Snapshot, Any]:
    """What the store writes in one transaction."""
    return Batch(accepted=list(snapshots))


def drift_pool(database: Database, **settings: object) -> Pool:
    """A pool of role ``infrawatch_drift``; await it, and terminate it."""
    fields = {"database_url": database.url("drift"), "database_password": database.password, **settings}
    return create_pool(DatabaseSettings.model_validate(fields), application="test")


@asynccontextmanager
async def drift_store(
    database: Database, policy: Policy = POLICY, found_at: datetime | None = None
) -> AsyncIterator[Store]:
    """The store as the service wires it, with its clock at ``found_at``, if that is given."""
    pool = drift_pool(database)
    await pool
    metrics = DriftMetrics(CollectorRegistry())
    try:
        yield Store(pool, metrics, policy, EVENTS_TOPIC, clock=lambda: found_at or datetime.now(UTC))
    finally:
        pool.terminate()


async def snapshot(
    database: Database,
    host_id: str,
    at: datetime,
    content: Content,
    *,
    id: UUID | None = None,  # noqa: A002 - as the field is called
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    found_at: datetime | None = None,
) -> UUID:
    """A host has sent a snapshot; its id. It was found at ``found_at``, by default a second after it was taken."""
    one = taken(host_id, at, content, identifier=id, name=name, tags=tags)
    async with drift_store(database, found_at=found_at or at + SECOND) as store:
        await store.write(batch([one]))
    return one[0].id


async def history(
    database: Database,
    host_id: str,
    contents: Sequence[tuple[datetime, Content]],
    *,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    found_at: datetime | None = None,
) -> list[UUID]:
    """A host has sent several snapshots, which came at once; their ids. By default the newest was found in time."""
    made = [taken(host_id, at, content, name=name, tags=tags) for at, content in contents]
    latest = max(at for at, _ in contents)
    async with drift_store(database, found_at=found_at or latest + SECOND) as store:
        await store.write(batch(made))
    return [one.id for one, _ in made]


class Replica:
    """One process's store, over the database that all share, with a clock of ours."""

    def __init__(self, pool: Pool, policy: Policy = POLICY) -> None:
        self.pool = pool
        self.now = NOW + timedelta(seconds=1)
        self.metrics = DriftMetrics(CollectorRegistry())
        self.store = Store(pool, self.metrics, policy, EVENTS_TOPIC, clock=lambda: self.now)

    @classmethod
    async def of(cls, database: Database) -> "Replica":
        """With a pool of its own, which is to be terminated."""
        pool = drift_pool(database)
        await pool
        return cls(pool)

    async def write(self, *snapshots: tuple[Snapshot, Any], found_at: datetime | None = None) -> Written:
        """Write one batch; found a second after the newest, unless it is said when."""
        self.now = found_at or max(one.timestamp for one, _ in snapshots) + timedelta(seconds=1)
        return await self.store.write(batch(snapshots))


class World:
    """The database as a superuser reads it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        async with self.database.admin() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def rows(self) -> tuple[list[Any], list[Any]]:
        """All snapshots with what their facts mean, and all changes, but for when they were found."""
        return await self.fetch(_ROWS), await self.fetch(_CHANGES)

    async def clear(self) -> None:
        async with self.database.admin() as connection:
            await connection.execute(
                "TRUNCATE snapshots, snapshot_sightings, drift_changes, drift_hosts, outbox, notices, notice_hosts"
                " CASCADE"
            )
