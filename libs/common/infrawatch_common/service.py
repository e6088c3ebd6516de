"""The life of a consuming service: start, run until something ends it, stop in order.

A dead background task or a consumer that hangs ends the process with exit code 1, so that its supervisor starts it
anew; SIGTERM and SIGINT finish the batch in hand and end it with exit code 0.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker
from prometheus_client import CollectorRegistry

from infrawatch_common.consuming import BatchConsumer
from infrawatch_common.database import Pool
from infrawatch_common.endpoint import PortUnavailableError, serve_endpoint
from infrawatch_common.health import Check
from infrawatch_common.kafka import start_when_reachable
from infrawatch_common.logs import get_logger
from infrawatch_common.settings import ConsumerSettings

_PING_TIMEOUT = 1.5
_ALLOCATIONS_BETWEEN_COLLECTIONS = 200_000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that one consuming process runs; ``background`` tasks never end by themselves."""

    name: str
    settings: ConsumerSettings
    app: FastStream
    broker: KafkaBroker
    consumer: BatchConsumer[Any]
    pool: Pool
    registry: CollectorRegistry
    background: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)

    async def run(self) -> int:
        """Run until a signal or a failure; the exit code."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        _tune_garbage_collection()
        await self.pool
        try:
            async with serve_endpoint(self.settings.http_host, self.settings.http_port, self._checks(), self.registry):
                _log.info("started", port=self.settings.http_port)
                exit_code = await self._work_until(stop)
        except PortUnavailableError as error:
            _log.error(str(error))
            return 1
        _log.info("stopped", exit_code=exit_code)
        return exit_code

    async def _work_until(self, stop: asyncio.Event) -> int:
        tasks = [asyncio.create_task(work(), name=name) for name, work in self._work().items()]
        error = await _first_failure(tasks, stop)
        await self._stop(tasks)
        return 0 if error is None else 1

    def _work(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        return {
            "consume": self._consume,
            "watchdog": lambda: self.consumer.watch(self._broker_answers),
            **self.background,
        }

    async def _consume(self) -> None:
        await start_when_reachable(self.broker)
        await self.consumer.failure()

    async def _broker_answers(self) -> bool:
        return await self.broker.ping(timeout=_PING_TIMEOUT)

    def _checks(self) -> dict[str, Check]:
        return {"database": self._check_database, "kafka": self._check_kafka, "consumer": self.consumer.check}

    async def _check_database(self) -> str | None:
        await self.pool.fetchval("SELECT 1", timeout=_PING_TIMEOUT)
        return None

    async def _check_kafka(self) -> str | None:
        return None if await self._broker_answers() else "no broker answers"

    async def _stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        try:
            async with asyncio.timeout(self.settings.stop_timeout):
                await self.consumer.drain()
                await self.broker.stop()
        except TimeoutError:
            _log.warning("work in hand was given up; it is done again after the start")
        except Exception as error:  # noqa: BLE001 - what is broken is being stopped; the rest of it must stop too
            _log.warning("did not stop in order", error=f"{type(error).__name__}: {error}")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.pool.terminate()


def _tune_garbage_collection() -> None:
    """Look for cycles once in many batches: a batch holds thousands of objects and no cycle, and looking takes time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)


async def _first_failure(tasks: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> BaseException | None:
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in tasks:
        if task in done:
            error = task.exception() or RuntimeError("the task ended by itself")
            _log.error("a part of the service died", part=task.get_name(), exc_info=error)
            return error
    return None
