"""The wiring of ingest."""

from datetime import timedelta

from faststream import FastStream
from faststream.specification import AsyncAPI

from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.events import MetricRecord, decode_sample
from infrawatch_common.foundation import lay_foundation
from infrawatch_common.jobs import Runner
from infrawatch_common.judging import Judge, rules_of
from infrawatch_common.kafka import create_broker, subscribe
from infrawatch_common.service import Service
from infrawatch_ingest.handlers import MetricsHandler
from infrawatch_ingest.maintenance import Maintenance
from infrawatch_ingest.metrics import IngestMetrics, MaintenanceMetrics
from infrawatch_ingest.settings import Settings
from infrawatch_ingest.store import Store
from infrawatch_ingest.store_jobs import JobStore
from infrawatch_ingest.store_streams import Streams


def create_app(settings: Settings) -> Service:
    """Put the parts together, in a running event loop; nothing connects before the service runs."""
    registry, pool, keys = lay_foundation("ingest", settings, reset=_nothing_to_reset)
    metrics = IngestMetrics(registry)
    last_seen_interval = timedelta(seconds=settings.last_seen_interval)
    streams = Streams(pool, settings.stream_ranges_max, settings.stream_gaps_max, last_seen_interval)
    store = Store(pool, metrics, streams)
    job_metrics = MaintenanceMetrics(registry)
    jobs = Runner(job_metrics).background(
        Maintenance(JobStore(pool, settings.job_timeout), settings, job_metrics).jobs()
    )
    handler = MetricsHandler(Judge(keys, rules_of(settings), decode_sample), store, metrics)
    consumer = BatchConsumer(handler.prepare, handler.write, metrics, settings.stall_timeout, streams.flush)
    broker = create_broker(settings)
    consumer.attach(
        subscribe(
            broker,
            settings.metrics_topic,
            settings,
            group="infrawatch-ingest",
            model=MetricRecord,
            handler=consumer.handle,
        )
    )
    app = FastStream(broker, logger=None, specification=AsyncAPI(title="Infra-Watch ingest", version="1"))
    return Service(
        name="ingest",
        settings=settings,
        app=app,
        broker=broker,
        consumer=consumer,
        pool=pool,
        registry=registry,
        background={"host keys": keys.follow_revocations, **jobs},
    )


async def _nothing_to_reset(_connection: object) -> None:
    """Whatever ingest changes in a session ends with its transaction; asking the server to reset it is a round trip."""
