"""When nothing was appended to a replica's partitions while nobody looked: what the broker tells after a start."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from infrawatch_alerting.domain.positions import Pauses
from infrawatch_common.consuming import HasConsumer
from infrawatch_common.logs import get_logger

_TIMEOUT = 30.0

_log = get_logger(__name__)


async def find_pauses(
    subscriber: HasConsumer, longest: float, begin: float, end: float
) -> Sequence[tuple[float, float]]:
    """The pauses of more than ``longest`` seconds between two times; all of it when the broker does not tell."""
    search = Pauses(begin, end, longest)
    try:
        async with asyncio.timeout(_TIMEOUT):
            while search.probe is not None:
                search.answer(await _first_after(subscriber.consumer, search.probe))
    except (KafkaError, TimeoutError) as error:
        _log.warning("the broker does not tell when records came; silence counts from now on", error=str(error))
        return [(begin, end)]
    return search.found


async def _first_after(consumer: AIOKafkaConsumer | None, time: float) -> float | None:
    partitions = consumer.assignment() if consumer is not None else ()
    if consumer is None or not partitions:
        return None
    found = await consumer.offsets_for_times({partition: int(time * 1000) for partition in partitions})
    return min((one.timestamp / 1000 for one in found.values() if one is not None), default=None)
