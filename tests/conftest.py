"""Fixtures on the real servers; they start when the first test asks for them, and end with the run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from infrawatch_local.stack import Stack
from records import host_key
from stack import Database, Service, Topics, fresh_database, fresh_topics

# The same examples in every run, however slow the machine; --hypothesis-profile=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and TimescaleDB."""
    made = Stack.isolated(tmp_path_factory.mktemp("stack"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def database(stack: Stack) -> Iterator[Database]:
    """A migrated database, this test's own."""
    with fresh_database(stack) as made:
        yield made


@pytest.fixture
async def topics(stack: Stack) -> Topics:
    """Topics, this test's own."""
    return await fresh_topics(stack)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Makes services; those that still run at the end of the test are killed."""
    made: list[Service] = []

    def make(name: str, environment: dict[str, str], *arguments: str, within: Sequence[str] = ()) -> Service:
        made.append(Service(name, tmp_path, environment, *arguments, within=within))
        return made[-1]

    yield make
    for running in made:
        running.kill()


@pytest.fixture
def known_hosts(database: Database) -> Callable[[list[str]], None]:
    """Gives hosts the key that ``records.host_key`` signs with."""

    def give(hosts: list[str]) -> None:
        with psycopg.connect(database.admin_url) as connection:
            connection.cursor().executemany(
                "INSERT INTO host_keys (id, host_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [(host_key(host).id, host) for host in hosts],
            )

    return give
