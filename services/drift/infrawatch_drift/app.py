"""The wiring of drift."""

from datetime import timedelta
from functools import partial

from faststream import FastStream
from faststream.specification import AsyncAPI

from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.drift.reading import Limits, SnapshotReader
from infrawatch_common.events import SnapshotRecord
from infrawatch_common.foundation import lay_foundation
from infrawatch_common.jobs import Runner
from infrawatch_common.judging import Judge, rules_of
from infrawatch_common.kafka import create_broker, create_producer, subscribe
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
    registry, pool, keys = lay_foundation("drift", settings)
    metrics = DriftMetrics(registry)
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
            "outbox": partial(publish, Outbox(pool, SERVICE), partial(create_producer, settings), metrics.outbox),
            **jobs,
        },
    )
