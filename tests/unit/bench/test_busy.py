from uuid import UUID

import pytest

from bench.backlog import Kind, _stream
from bench.busy import DURATION, THRESHOLD, firings, is_busy
from infrawatch_common.alerts.engine import Fired, Rhythm
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.alerts.watching import HostWatch, RuleSet
from infrawatch_common.events import Sample, decode_sample
from records import NOW, body


def test_one_sample_in_a_hundred_is_over_the_threshold() -> None:
    busy = sum(is_busy(host, sequence) for host in range(280) for sequence in range(3000))
    assert 0.0095 < busy / (280 * 3000) <= 0.01


@pytest.mark.parametrize(("hosts", "records"), [(1, 5), (1, 12), (1, 13), (1, 700), (7, 6003), (40, 9001)])
def test_firings_are_counted_as_the_decision_makes_them(hosts: int, records: int) -> None:
    interval = hosts * Kind(hosts, records, busy=True).spacing
    busy = Rule(UUID(int=1), 1, "busy", Metric.CPU, DURATION * interval, threshold=THRESHOLD)
    watches = {f"host-{host}": HostWatch("", RuleSet([busy]), Rhythm(interval)) for host in range(hosts)}
    found = 0
    for record, _ in _stream(Kind(hosts, records, busy=True), NOW):
        sample = decode_sample(body(record))
        assert isinstance(sample, Sample)
        changes = watches[sample.host_id].sample(sample)
        assert changes is not None
        found += sum(isinstance(change.transition, Fired) for change in changes)
    assert found == firings(hosts, records)
