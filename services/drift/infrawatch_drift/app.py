"""The wiring of drift."""

from datetime import timedelta
from functools import partial

from aiokafka import AIOKafkaProducer
from faststream import FastStream
from faststream.specification import AsyncAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.database import create_pool
from infrawatch_common.drift.reading import Limits, SnapshotReader
from infrawatch_common.events import SnapshotRecord
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.jobs import Runner
from infrawatch_common.judging import Judge, rules_of
from infrawatch_common.kafka import create_broker, producer_options, subscribe
from infrawatch_common.outbox import Outbox, publish
from infrawatch_common.service import Service
from infrawatch_drift.domain.findings import Policy
from infrawatch_drift.handlers import SnapshotsHandler
from infrawatch_drift.maintenance import Maintenance
from infrawatch_drift.metrics import DriftMetrics, MaintenanceMetrics
from infrawatch_drift.settings import Settings
from infrawatch_drift.store import Store
from infrawatch_drift.store_changes import SERVICE
from infrawatch_drift.store_sightings import Sightings


def create_app(settings: Settings) -> Service:
    """Put the parts together, in a running event loop; nothing connects before the service runs."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = DriftMetrics(registry)
    # A suspended replica loses its transaction when it loses its partitions: their new owner waits for its rows.
    abandoned = {"idle_in_transaction_session_timeout": f"{settings.kafka_session_timeout * 1000:.0f}"}
    pool = create_pool(settings, application="infrawatch-drift", server_settings=abandoned)
    keys = KeyRing(pool, settings.host_key_secret.get_secret_value().encode(), settings.host_key_refresh)
    policy = Policy(settings.rules, timedelta(seconds=settings.late_after), settings.notify_severity)
    store = Store(pool, metrics, policy, settings.drift_events_topic, settings.facts_cached)
    job_metrics = MaintenanceMetrics(registry)
    jobs = Runner(job_metrics).background(
        Maintenance(Sightings(pool, settings.job_timeout), settings, job_metrics).jobs()
    )
    limits = Limits(settings.snapshot_max_bytes, settings.snapshot_env_vars_max, settings.snapshot_packages_max)
    judge = Judge(keys, rules_of(settings), SnapshotReader(limits).read)
    handler = SnapshotsHandler(judge, store, metrics)
    consumer = BatchConsumer(handler.prepare, handler.write, metrics, settings.stall_timeout)
    broker = create_broker(settings)
    consumer.attach(
        subscribe(
            broker,
            settings.snapshots_topic,
            settings,
            group="infrawatch-drift",
            model=SnapshotRecord,
            handler=consumer.handle,
        )
    )
    app = FastStream(broker, logger=None, specification=AsyncAPI(title="Infra-Watch drift", version="1"))
    make_producer = partial(AIOKafkaProducer, enable_idempotence=True, **producer_options(settings))
    return Service(
        name="drift",
        settings=settings,
        app=app,
        broker=broker,
        consumer=consumer,
        pool=pool,
        registry=registry,
        background={
            "host keys": keys.follow_revocations,
            "outbox": partial(publish, Outbox(pool, SERVICE), make_producer, metrics.outbox),
            **jobs,
        },
    )
