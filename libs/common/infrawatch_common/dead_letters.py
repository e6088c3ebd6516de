"""Dead letters: a record that cannot be used is kept, with the place it came from and the reason."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from infrawatch_common.database import Connection
from infrawatch_common.events import Rejection
from infrawatch_common.events.judgement import appended
from infrawatch_common.kafka import Record

# A record that is read again after a crash is the same dead letter.
_STORE = """
INSERT INTO dead_letters
    (service, topic, partition, "offset", appended_at, host_id, reason, detail, key, value, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (service, topic, partition, "offset") DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record, whole. ``appended_at`` is the broker's time; ``headers`` are a JSON object of hex values."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: bytes | None
    value: bytes | None
    headers: str
    rejection: Rejection


def letter_of(rejection: Rejection, record: Record) -> DeadLetter:
    """The letter that keeps a refused record."""
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=appended(record),
        key=record.key,
        value=record.value,
        headers=_headers_of(record),
        rejection=rejection,
    )


def _headers_of(record: Record) -> str:
    # Senders choose them freely: Kafka knows headers without value, and PostgreSQL no NUL in a name.
    named = {name.replace("\0", "\N{REPLACEMENT CHARACTER}"): (value or b"").hex() for name, value in record.headers}
    return json.dumps(named)


async def store_dead_letters(connection: Connection, service: str, letters: Sequence[DeadLetter]) -> None:
    """Keep the letters of one service; those it kept before stay as they are."""
    await connection.executemany(
        _STORE,
        [
            (
                service,
                letter.topic,
                letter.partition,
                letter.offset,
                letter.appended_at,
                letter.rejection.host_id,
                letter.rejection.reason.value,
                letter.rejection.detail,
                letter.key,
                letter.value,
                letter.headers,
            )
            for letter in letters
        ],
    )
