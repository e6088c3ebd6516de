"""Promise 6: one bad record never stops its neighbours (proof: fault matrix row 20)."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producer_module
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from confluent_kafka import Producer

from ledger import Load, producer
from poisons import BadName, poisons
from records import body, host_key, signature
from stack import Database, Service, Topics, eventually, ingest_environment

HOST = "host-0"
BATCH = 5000


async def test_one_bad_record_of_each_kind_among_5000_becomes_one_dead_letter_and_the_others_are_stored(
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
) -> None:
    load = Load(topics, hosts=1)
    known_hosts(load.host_ids)
    key = host_key(HOST)
    kinds = poisons(load.next_record(HOST))
    expected = []
    async with producer(topics) as sending:
        for value, reason in kinds.values():
            await load.send(sending, rounds=BATCH // 2)
            headers = [signature(key, value, topics.metrics)] if value else []
            bad = await sending.send_and_wait(topics.metrics, value, key=HOST.encode(), headers=headers)
            expected.append((bad.topic, bad.partition, bad.offset, reason))
            await load.send(sending, rounds=BATCH - 1 - BATCH // 2)
    ingest = service("ingest", ingest_environment(database, topics)).start()

    async def rows() -> int:
        async with database.admin() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM metrics"))

    async def all_stored() -> bool:
        return await rows() >= len(load.acknowledged)

    await eventually(all_stored)
    async with database.admin() as connection:
        letters = await connection.fetch('SELECT * FROM dead_letters ORDER BY "offset"')
    found = [tuple(letter[name] for name in ("topic", "partition", "offset", "reason")) for letter in letters]
    assert found == expected
    assert [letter["value"] for letter in letters] == [value for value, _ in kinds.values()]
    assert await rows() == len(kinds) * (BATCH - 1)
    assert ingest.metric('infrawatch_ingest_records_total{outcome="malformed"}') == 4


async def test_a_record_that_claims_the_far_future_makes_no_chunk_and_hijacks_no_last_seen(
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
) -> None:
    known_hosts([HOST])
    service("ingest", ingest_environment(database, topics)).start()
    load = Load(topics, hosts=1)
    async with producer(topics) as sending:
        for stamp in ("2100-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
            value = body(load.next_record(HOST) | {"timestamp": stamp})
            header = signature(host_key(HOST), value, topics.metrics)
            await sending.send_and_wait(topics.metrics, value, key=HOST.encode(), headers=[header])
        await load.send(sending, rounds=1)

    async def settled() -> bool:
        async with database.admin() as connection:
            seen = "EXISTS (SELECT FROM hosts WHERE last_seen IS NOT NULL)"
            return bool(await connection.fetchval(f"SELECT count(*) = 1 AND {seen} FROM metrics"))

    await eventually(settled)
    async with database.admin() as connection:
        reasons = await connection.fetch("SELECT reason FROM dead_letters ORDER BY 1")
        assert [row["reason"] for row in reasons] == ["in_future", "too_old"]
        days = await connection.fetch(
            "SELECT range_start - date_trunc('day', now(), 'UTC') FROM timescaledb_information.chunks"
            " WHERE hypertable_name = 'metrics'"
        )
        assert {day[0].days for day in days} <= {0, 1, 2, 3}, "today's and those made ahead"
        assert await connection.fetchval("SELECT last_seen FROM hosts") <= datetime.now(UTC)


async def test_a_header_that_is_no_text_and_any_compression_stop_nobody(
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = Load(topics, hosts=1)
    known_hosts(load.host_ids)
    for module in (message_accumulator, producer_module):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    async with producer(topics) as sending:
        await load.send(sending, rounds=2)
        record = load.next_record(HOST)
        value = body(record)
        headers = [(BadName("name"), b""), signature(host_key(HOST), value, topics.metrics)]
        await sending.send_and_wait(topics.metrics, value, key=HOST.encode(), headers=headers)
        load.attempted.add(record["id"])
        load.note(record)
        await load.send(sending, rounds=2)
    for compression in ("snappy", "lz4", "zstd", "gzip"):
        packing = Producer({"bootstrap.servers": topics.bootstrap_servers, "compression.type": compression})
        record = load.next_record(HOST)
        value = body(record)
        header = signature(host_key(HOST), value, topics.metrics)
        packing.produce(topics.metrics, value, key=HOST.encode(), headers=[header])
        assert packing.flush(10) == 0
        load.attempted.add(record["id"])
        load.note(record)
    service("ingest", ingest_environment(database, topics)).start()

    async def all_stored() -> bool:
        return (await load.verdict(database)).kept

    await eventually(all_stored)
