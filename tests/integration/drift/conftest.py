"""Drift's store as the service wires it, on the real database."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from drifting import POLICY, Replica, World, drift_pool
from infrawatch_common.database import Pool
from infrawatch_drift.domain.findings import Policy
from stack import Database


@pytest.fixture
async def make_replica(database: Database) -> AsyncIterator[Callable[..., Awaitable[Replica]]]:
    """Makes replicas; each has connections of its own."""
    pools: list[Pool] = []

    async def make(policy: Policy = POLICY) -> Replica:
        pool = drift_pool(database)
        await pool
        pools.append(pool)
        return Replica(pool, policy)

    yield make
    for pool in pools:
        pool.terminate()


@pytest.fixture
async def replica(make_replica: Callable[..., Awaitable[Replica]]) -> Replica:
    return await make_replica()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
