"""Names of headers that are not UTF-8.

The broker takes any bytes as a name, aiokafka decodes them while it reads, and raises for those that are no text: a
single such record, which every producer can write, would stop its partition for ever. Here it is read with U+FFFD in
place of what cannot be decoded.
"""

from collections.abc import Iterator
from typing import Any, SupportsIndex, overload

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_BATCHES_MAGIC = 2
_MAGIC_AT, _LENGTH_AT, _BEFORE_LENGTH = 16, 8, 12

_next_record: Any = fetcher.PartitionRecords.__next__


def survive_header_names() -> None:
    """Make aiokafka read such records, for this process; calling it again changes nothing."""
    setattr(fetcher, "MemoryRecords", _Remembered)  # noqa: B010 - it is final for type checkers alone
    setattr(fetcher.PartitionRecords, "__next__", _next_or_lenient)  # noqa: B010


class _Remembered(MemoryRecords):  # type: ignore[misc, valid-type]
    """The records of an answer, with the bytes that they are read from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Text(bytearray):
    """Bytes whose parts are decoded whatever they are."""

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytearray: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> int | bytearray:
        part = super().__getitem__(key)
        return part if isinstance(part, int) else _Text(part)

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def _next_or_lenient(records: Any) -> Any:
    try:
        return _next_record(records)
    except UnicodeDecodeError:
        records._records_iterator = _lenient(records, records._records.data)  # noqa: SLF001 - there is no other way in
        return _next_record(records)


def _lenient(records: Any, data: bytes) -> Iterator[Any]:
    """What is left of an answer, from where the last record ended; for producers without transactions."""
    for batch in _batches(data):
        if batch.next_offset <= records.next_fetch_offset or batch.is_control_batch:
            continue
        iter(batch)
        batch._buffer = _Text(batch._buffer)  # noqa: SLF001
        for record in batch:
            if record.offset >= records.next_fetch_offset:
                records.next_fetch_offset = record.offset + 1
                yield records._consumer_record(records._tp, record)  # noqa: SLF001
        records.next_fetch_offset = batch.next_offset


def _batches(data: bytes) -> Iterator[Any]:
    """The whole batches of an answer; the last one may be cut, and is asked for again."""
    start = 0
    while start + _MAGIC_AT < len(data):
        end = start + _BEFORE_LENGTH + int.from_bytes(data[start + _LENGTH_AT : start + _BEFORE_LENGTH], "big")
        if end > len(data):
            return
        assert data[start + _MAGIC_AT] >= _BATCHES_MAGIC  # older ones have no headers, and Kafka 4 has none of them
        yield _DefaultRecordBatchPy(data[start:end])
        start = end
