"""How a batch is judged with the keys that it names."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

import pytest

from infrawatch_common.events import HostKey, Reason, decode_sample
from infrawatch_common.events.batch import Batch
from infrawatch_common.events.judgement import Rules
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.judging import Judge, rules_of
from infrawatch_common.settings import ConsumerSettings, SampleSettings, SnapshotSettings
from records import MASTER_SECRET, host_key, sample, signed

RULES = Rules(accept_unsigned=False, clock_tolerance=300, retention=30 * 86_400)
HOSTS = [f"host-{number}" for number in range(600)]


class Keys:
    """A key ring that learns from a list, and how often it was asked."""

    def __init__(self, to_learn: Iterable[str]) -> None:
        self.known: dict[str, HostKey] = {}
        self.asked: list[list[str]] = []
        self._to_learn = {key.id: key for key in map(host_key, to_learn)}

    async def learn(self, ids: Iterable[str]) -> bool:
        self.asked.append(list(ids))
        found = {key_id: self._to_learn[key_id] for key_id in self.asked[-1] if key_id in self._to_learn}
        self.known.update(found)
        return bool(found)


async def sorted_out(keys: Keys, hosts: Iterable[str]) -> Batch[Any, Any]:
    records = [signed(sample(host, number), offset=number) for number, host in enumerate(hosts)]
    return await Judge(cast("KeyRing", keys), RULES, decode_sample).sort_out(cast("Any", records))


async def test_the_keys_of_a_batch_of_new_hosts_are_asked_for_once() -> None:
    keys = Keys(HOSTS)
    batch = await sorted_out(keys, HOSTS)
    assert [one.host_id for one, _ in batch.accepted] == HOSTS
    assert [len(ids) for ids in keys.asked] == [600]


async def test_known_keys_are_not_asked_for() -> None:
    keys = Keys(HOSTS)
    await sorted_out(keys, HOSTS)
    await sorted_out(keys, HOSTS)
    assert len(keys.asked) == 1


async def test_keys_that_nobody_has_are_asked_for_once_and_refused() -> None:
    keys = Keys(HOSTS[300:])
    batch = await sorted_out(keys, HOSTS)
    assert len(keys.asked) == 1
    assert [rejection.reason for rejection, _ in batch.refused] == [Reason.UNKNOWN_KEY] * 300
    assert [one.host_id for one, _ in batch.accepted] == HOSTS[300:]


@pytest.mark.parametrize(("number", "size", "turns"), [(600, 0, 3), (12, 60_000, 4), (3, 2_000_000, 3)])
async def test_large_records_do_not_keep_others_from_their_turn(number: int, size: int, turns: int) -> None:
    records = [signed(sample("host-0", sequence, extra="x" * size), offset=sequence) for sequence in range(number)]
    keys = Keys(HOSTS)
    await keys.learn([host_key("host-0").id])
    taken = 0

    async def take_turns() -> None:
        nonlocal taken
        while True:
            await asyncio.sleep(0)
            taken += 1

    others = asyncio.create_task(take_turns())
    batch = await Judge(cast("KeyRing", keys), RULES, decode_sample).sort_out(cast("Any", records))
    others.cancel()
    with suppress(asyncio.CancelledError):
        await others
    assert len(batch.accepted) == number
    assert taken == turns - 1  # the first is spent on coming to the place where it waits


def settings(kind: type[ConsumerSettings], **given: Any) -> Any:
    database = {"database_url": "postgresql://role@localhost/infrawatch", "database_password": "not used"}
    return kind.model_validate({**database, "host_key_secret": MASTER_SECRET, **given})


def test_the_rules_are_those_of_the_settings() -> None:
    samples = settings(SampleSettings, raw_retention_days=7, clock_tolerance=5, accept_unsigned=True)
    assert rules_of(samples) == Rules(True, 5, timedelta(days=7).total_seconds())
    snapshots = settings(SnapshotSettings, snapshot_max_late_days=3)
    assert rules_of(snapshots) == Rules(False, 300, timedelta(days=3).total_seconds())
