"""Alerting's pool as it wires it, on the real database."""

from collections.abc import AsyncIterator, Callable

import pytest
from notifying import Teller

from evaluating import World
from infrawatch_alerting.settings import Settings
from infrawatch_common.database import Pool, create_pool
from records import MASTER_SECRET
from stack import Database


@pytest.fixture
def make_settings(database: Database) -> Callable[..., Settings]:
    def make(**changes: object) -> Settings:
        return Settings.model_validate(
            {
                "database_url": database.url("alerting"),
                "database_password": database.password,
                "host_key_secret": MASTER_SECRET,
                "database_pool_size": 4,  # many replicas share one server's connections
                **changes,
            }
        )

    return make


@pytest.fixture
async def make_pool(make_settings: Callable[..., Settings]) -> AsyncIterator[Callable[..., Pool]]:
    """Makes pools of role infrawatch_alerting; each stands for one replica. Await what it returns."""
    pools: list[Pool] = []

    def make(**settings: object) -> Pool:
        pools.append(create_pool(make_settings(**settings), application="test"))
        return pools[-1]

    yield make
    for pool in pools:
        pool.terminate()


@pytest.fixture
async def world(database: Database, make_pool: Callable[..., Pool]) -> AsyncIterator[World]:
    """Two hosts, described and with keys, and no rules."""
    async with database.admin() as admin:
        made = World(admin, make_pool)
        await made.host("host-a", env="prod")
        await made.host("host-b", env="test")
        yield made


@pytest.fixture
async def teller(
    database: Database, make_pool: Callable[..., Pool], make_settings: Callable[..., Settings]
) -> AsyncIterator[Teller]:
    """What tells people, without channels."""
    async with database.admin() as admin:
        yield Teller(
            admin,
            await make_pool(database_pool_size=8),
            make_settings(notify_give_up_after=3600, notify_back_off_max=60),
        )
