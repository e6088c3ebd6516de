"""The stack whose servers can be reached through a proxy that breaks their connections."""

from collections.abc import Iterator

import pytest

from faults.servers import FaultyStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    """Kafka and TimescaleDB."""
    made = FaultyStack.isolated(tmp_path_factory.mktemp("stack"))
    made.start()
    yield made
    made.stop()
