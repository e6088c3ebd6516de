"""A header's name that is no text stops nobody."""

from typing import Any

import pytest
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import TopicPartition

from infrawatch_common.header_names import survive_header_names
from poisons import BadName

fetcher: Any = aiokafka_fetcher


def batch(offset: int, headers: list[list[tuple[str, bytes | None]]], compression: int = 0) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1_000_000)
    for number, of_record in enumerate(headers):
        builder.append(number, 1, b"key", b"%d" % (offset + number), of_record)
    return offset.to_bytes(8, "big") + bytes(builder.build())[8:]


def read(data: bytes, fetch_offset: int = 0) -> list[Any]:
    records = fetcher.MemoryRecords(data)
    return list(fetcher.PartitionRecords(TopicPartition("t", 0), records, None, fetch_offset, None, None, True, 0))


GOOD: list[tuple[str, bytes | None]] = [("signature", b"1")]
BAD: list[tuple[str, bytes | None]] = [("before", b"0"), (BadName("x"), b"1")]


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    monkeypatch.setattr(fetcher.PartitionRecords, "__next__", fetcher.PartitionRecords.__next__)
    survive_header_names()


@pytest.mark.parametrize("compression", [0, 1])
def test_every_record_around_such_a_name_is_read_once(compression: int) -> None:
    data = batch(0, [GOOD, BAD, GOOD], compression) + batch(3, [GOOD]) + batch(4, [BAD, BAD]) + batch(6, [GOOD])
    found = read(data)
    assert [(record.offset, record.value) for record in found] == [(n, b"%d" % n) for n in range(7)]
    assert found[1].headers == (("before", b"0"), ("na\ufffd\ufffdme", b"1"))
    assert found[0].headers == tuple(GOOD)


def test_a_fetch_that_begins_within_a_batch_reads_nothing_again() -> None:
    assert [record.offset for record in read(batch(0, [BAD, GOOD, BAD, GOOD]), fetch_offset=2)] == [2, 3]


def test_a_batch_that_is_cut_is_left_for_the_next_fetch() -> None:
    whole, cut = batch(0, [GOOD, BAD]), batch(2, [GOOD])[:-3]
    assert [record.offset for record in read(whole + cut)] == [0, 1]
