"""Old messages go, with their attempts; what is yet to be delivered stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from infrawatch_alerting.maintenance import Maintenance
from infrawatch_alerting.metrics import MaintenanceMetrics
from infrawatch_alerting.settings import Settings
from infrawatch_alerting.store_messages import MessageStore
from infrawatch_common.database import Pool
from infrawatch_common.jobs import TakenError
from infrawatch_common.schedule import Outcome
from stack import Database

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
OLD, NEW = NOW - timedelta(days=91), NOW - timedelta(days=89)


async def add_message(admin: Any, created_at: datetime, state: str) -> None:
    notification, channel = uuid4(), uuid4()
    await admin.execute(
        "INSERT INTO notifications (id, channel_id, channel, host_id, message, created_at, state, next_attempt_at)"
        " VALUES ($1, $2, 'ops', 'host-a', '{}', $3, $4, $3)",
        *(notification, channel, created_at, state),
    )
    await admin.execute(
        "INSERT INTO deliveries (id, notification_id, channel_id, host_id, attempt, started_at)"
        " VALUES ($1, $2, $3, 'host-a', 1, $4)",
        *(uuid4(), notification, channel, created_at),
    )


async def test_old_messages_are_deleted_in_parts_with_their_attempts(
    database: Database, make_pool: Callable[..., Pool], make_settings: Callable[..., Settings]
) -> None:
    async with database.admin() as admin:
        for _ in range(3):
            await add_message(admin, OLD, "delivered")
        for created_at, state in ((OLD, "given_up"), (OLD, "waiting"), (NEW, "delivered")):
            await add_message(admin, created_at, state)
        registry = CollectorRegistry()
        messages = MessageStore(await make_pool())
        settings = make_settings(delivery_retention_days=90, retention_batch=3)
        (job,) = Maintenance(messages, settings, MaintenanceMetrics(registry), lambda: NOW).jobs()
        assert [await job.run() for _ in range(2)] == [Outcome.MORE, Outcome.DONE]
        kept = await admin.fetch("SELECT created_at, state FROM notifications ORDER BY created_at")
        assert [tuple(row) for row in kept] == [(OLD, "waiting"), (NEW, "delivered")]
        assert await admin.fetchval("SELECT count(*) FROM deliveries") == 2
    assert registry.get_sample_value("infrawatch_alerting_deleted_messages_total") == 4


async def test_one_replica_at_a_time_deletes(database: Database, make_pool: Callable[..., Pool]) -> None:
    async with database.admin() as other, other.transaction():
        await other.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('infrawatch alerting: delivery retention', 0))"
        )
        with pytest.raises(TakenError):
            await MessageStore(await make_pool()).clean(NOW, 3, 5.0)
