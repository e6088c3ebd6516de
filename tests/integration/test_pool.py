"""The pool of connections, where one dies without a word."""

import time
from urllib.parse import urlsplit

import pytest

from faults.proxy import FaultProxy
from infrawatch_common.database import create_pool
from infrawatch_common.settings import DatabaseSettings
from stack import Database

_STATEMENT, _RELEASE, _BUSY_MACHINE = 0.5, 1.0, 2.0


async def test_a_connection_that_dies_without_a_word_costs_a_statement_and_a_second(database: Database) -> None:
    url = urlsplit(database.url("ingest"))
    assert url.port is not None
    with FaultProxy(url.port) as proxy:
        through_proxy = url._replace(netloc=f"{url.username}@{proxy.address}").geturl()
        settings = DatabaseSettings.model_validate(
            {
                "database_url": through_proxy,
                "database_password": database.password,
                "database_pool_size": 1,
            }
        )
        async with create_pool(settings, application="test") as pool:
            assert await pool.fetchval("SELECT 1") == 1
            proxy.strand()
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                await pool.fetchval("SELECT 1", timeout=_STATEMENT)
            assert time.monotonic() - began < _STATEMENT + _RELEASE + _BUSY_MACHINE
            assert await pool.fetchval("SELECT 1") == 1
