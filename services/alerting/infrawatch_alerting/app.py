"""The wiring of alerting."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from faststream import FastStream
from faststream.specification import AsyncAPI

from infrawatch_alerting.background import Assignments, Silence, follow_rules, trouble
from infrawatch_alerting.dispatching import Dispatcher
from infrawatch_alerting.domain.fleet import Fleet
from infrawatch_alerting.domain.notices import decide
from infrawatch_alerting.domain.positions import Sight
from infrawatch_alerting.handlers import AlertingHandler
from infrawatch_alerting.listening import follow
from infrawatch_alerting.maintenance import Maintenance
from infrawatch_alerting.metrics import AlertingMetrics, MaintenanceMetrics
from infrawatch_alerting.pauses import find_pauses
from infrawatch_alerting.sending import Senders
from infrawatch_alerting.sending.dead_man import beat
from infrawatch_alerting.settings import Settings
from infrawatch_alerting.store import SERVICE, Store
from infrawatch_alerting.store_messages import MessageStore
from infrawatch_alerting.store_notices import NoticeStore
from infrawatch_alerting.store_rules import RuleReader
from infrawatch_alerting.telling import CHANNEL, Notifier, compose
from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.events import MetricRecord, decode_sample
from infrawatch_common.foundation import lay_foundation
from infrawatch_common.jobs import Runner
from infrawatch_common.judging import Judge, rules_of
from infrawatch_common.kafka import create_broker, create_producer, subscribe
from infrawatch_common.notices.sealing import Sealer
from infrawatch_common.outbox import Outbox, publish
from infrawatch_common.service import Service


def create_app(settings: Settings) -> Service:
    """Put the parts together, in a running event loop; nothing connects before the service runs."""
    registry, pool, keys = lay_foundation("alerting", settings)
    metrics = AlertingMetrics(registry)
    late_after = timedelta(seconds=settings.late_after)
    store = Store(pool, settings.metrics_topic, settings.alert_events_topic, late_after, settings.alert_log_size)
    fleet = Fleet(timedelta(seconds=settings.reporting_interval), timedelta(seconds=settings.backfill_wait))
    blind_after = timedelta(seconds=settings.blind_after)
    judge = Judge(keys, rules_of(settings), decode_sample)
    handler = AlertingHandler(judge, fleet, store, metrics, RuleReader(pool).read, blind_after=blind_after)
    silence = Silence(handler, Sight(settings.blind_after), metrics)
    consumer = BatchConsumer(handler.prepare, handler.write, metrics, settings.stall_timeout, look=silence.look)
    broker = create_broker(settings)
    assignments = Assignments(handler, settings.metrics_topic)
    assignments.subscriber = subscribe(
        broker,
        settings.metrics_topic,
        settings,
        group="infrawatch-alerting",
        model=MetricRecord,
        handler=consumer.handle,
        listener=assignments,
    )
    consumer.attach(assignments.subscriber)
    handler.find_pauses = partial(find_pauses, assignments.subscriber, settings.blind_after)
    senders = Senders(settings)
    sealer = Sealer(settings.host_key_secret.get_secret_value().encode())
    messages = MessageStore(pool)
    dispatcher = Dispatcher(messages, senders, sealer, settings, metrics)
    job_metrics = MaintenanceMetrics(registry)
    jobs = Runner(job_metrics).background(Maintenance(messages, settings, job_metrics).jobs())
    notifier = Notifier(NoticeStore(pool, decide, compose), dispatcher.wake)
    app = FastStream(broker, logger=None, specification=AsyncAPI(title="Infra-Watch alerting", version="1"))
    background: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "host keys": keys.follow_revocations,
        "rules": partial(follow_rules, pool, handler, settings.rules_refresh),
        "notices": partial(follow, pool, CHANNEL, "telling", notifier.tell),
        "messages": dispatcher.run,
        **jobs,
        "outbox": partial(publish, Outbox(pool, SERVICE), partial(create_producer, settings), metrics.outbox),
    }
    if settings.dead_man_url is not None:
        url, is_well = settings.dead_man_url.get_secret_value(), partial(trouble, consumer, pool)
        background["dead man"] = partial(beat, url, settings.dead_man_interval, is_well, senders.ping, metrics)
    return Service(
        name="alerting",
        settings=settings,
        app=app,
        broker=broker,
        consumer=consumer,
        pool=pool,
        registry=registry,
        background=background,
    )
