"""What every consuming service is built on, made in one way."""

from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector

from infrawatch_common.database import Pool, create_pool
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.settings import ConsumerSettings


class Foundation(NamedTuple):
    """Metrics of the process, connections to the database, and the keys that hosts sign with."""

    registry: CollectorRegistry
    pool: Pool
    keys: KeyRing


def lay_foundation(name: str, settings: ConsumerSettings, **pool_options: Any) -> Foundation:
    """That of the service ``infrawatch-NAME``, in a running event loop; nothing connects yet."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    # A suspended replica loses its transaction when it loses its partitions: their new owner waits for its rows.
    abandoned = {"idle_in_transaction_session_timeout": f"{settings.kafka_session_timeout * 1000:.0f}"}
    pool = create_pool(settings, application=f"infrawatch-{name}", server_settings=abandoned, **pool_options)
    secret = settings.host_key_secret.get_secret_value().encode()
    return Foundation(registry, pool, KeyRing(pool, secret, settings.host_key_refresh))
