from collections import Counter
from datetime import UTC, datetime

import pytest

from bench.backlog import Kind, Repeats, _stream

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.mark.parametrize(("repeats", "twice"), [(Repeats.NONE, 0), (Repeats.SCATTERED, 2000), (Repeats.IN_RUNS, 2000)])
def test_a_tenth_of_the_records_comes_twice_where_that_is_wanted(repeats: Repeats, twice: int) -> None:
    sent = list(_stream(Kind(7, 20_000, repeats), START))
    times = Counter(record["id"] for record, _ in sent)
    assert len(times) == 20_000
    assert sum(count == 2 for count in times.values()) == twice
    assert sum(again for _, again in sent) == twice


def test_the_records_of_a_host_are_numbered_in_the_order_of_time() -> None:
    mine = [record for record, _ in _stream(Kind(7, 100), START) if record["host_id"] == "host-3"]
    assert [record["agent"]["sequence"] for record in mine] == list(range(14))
    assert [record["timestamp"] for record in mine] == sorted(record["timestamp"] for record in mine)
