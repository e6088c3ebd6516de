"""Where the partitions of a replica go on, and which partition a host's records are on."""

from collections.abc import Mapping

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_MOST_PROBES = 2000


def partition_of(host_id: str, partitions: int) -> int:
    """The partition that producers choose for a key: murmur2 of Kafka's default partitioner."""
    return (_murmur2(host_id.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    length = len(data)
    value = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        value = (value * _M & _MASK) ^ word
    rest = data[whole:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * _M & _MASK
    value = (value ^ value >> 13) * _M & _MASK
    return value ^ value >> 15


class Pauses:
    """Finds when nothing was appended to a topic for longer than ``longest``, by asking when the next record came.

    Times are in seconds of Unix time, from ``begin`` to ``end``. A pause is told from a record that came shortly before
    it to the one that ended it. Pauses up to half as long again may be missed, and longer ones where there is more to
    ask about than ``_MOST_PROBES``.
    """

    def __init__(self, begin: float, end: float, longest: float) -> None:
        self._end = end
        self._longest = longest
        self._step = max(longest / 2, (end - begin) / _MOST_PROBES)
        self._known = begin
        self.probe: float | None = begin if end - begin > longest else None
        self.found: list[tuple[float, float]] = []

    def answer(self, first: float | None) -> None:
        """When the first record at or after ``probe`` came, None if there is none; then ``probe`` is the next one."""
        if self.probe is None:
            return
        following = self._end if first is None else min(first, self._end)
        if following - self.probe > self._longest:
            self.found.append((self._known, following))
        self._known = following
        then = following + self._step
        self.probe = then if then < self._end else None


class Sight:
    """Until when silence can be told: the end of the topic was seen, and nothing that is on it is undone.

    Times are in seconds of Unix time. ``blind_after`` seconds without a look at the end, silence is nobody's but ours.
    """

    def __init__(self, blind_after: float) -> None:
        self._blind_after = blind_after
        self._looked: float | None = None

    def look(self, now: float, undone: Mapping[int, float | None]) -> tuple[float, float | None]:
        """Until when silence counts, and from when on, if it does not count from before.

        ``undone`` has, for each partition, when the broker got the last record that is done, or None if all are done.
        """
        blind = self._looked is not None and now - self._looked > self._blind_after
        self._looked = now
        behind = [at for at in undone.values() if at is not None]
        return min(behind, default=now), now if blind else None
