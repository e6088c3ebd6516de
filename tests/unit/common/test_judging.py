"""How a batch is judged with the keys that it names."""

from collections.abc import Iterable
from typing import Any, cast

from infrawatch_common.events import HostKey, Reason
from infrawatch_common.events.batch import Batch
from infrawatch_common.events.judgement import Rules
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.judging import Judge
from records import host_key, sample, signed

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


async def sorted_out(keys: Keys, hosts: Iterable[str]) -> Batch[Any]:
    records = [signed(sample(host, number), offset=number) for number, host in enumerate(hosts)]
    return await Judge(cast("KeyRing", keys), RULES).sort_out(cast("Any", records))


async def test_the_keys_of_a_batch_of_new_hosts_are_asked_for_once() -> None:
    keys = Keys(HOSTS)
    batch = await sorted_out(keys, HOSTS)
    assert [one.host_id for one, _ in batch.samples] == HOSTS
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
    assert [one.host_id for one, _ in batch.samples] == HOSTS[300:]
