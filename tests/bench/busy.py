"""Which samples of a backlog are over a rule's threshold, and how often that rule fires."""

# One sample in a hundred: three in a row, then quiet again.
_EVERY, _ROW = 300, 3
_EARLIEST, _SPREAD, _STRIDE = 10, 280, 37

CPU = 95.0
THRESHOLD = 90.0
# The rule's duration in intervals of the host: it fires with the third sample in a row.
DURATION = 1.5


def is_busy(host: int, sequence: int) -> bool:
    """Whether this sample of this host, both counted from 0, is over the threshold."""
    return sequence >= _first(host) and (sequence - _first(host)) % _EVERY < _ROW


def firings(hosts: int, records: int) -> int:
    """How often the rule fires when so many records are the hosts' in turn."""
    return sum(_firings(host, records // hosts + (host < records % hosts)) for host in range(hosts))


def _firings(host: int, samples: int) -> int:
    return max(0, (samples - _first(host) - _ROW) // _EVERY + 1)


def _first(host: int) -> int:
    return _EARLIEST + host * _STRIDE % _SPREAD
