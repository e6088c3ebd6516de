from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from infrawatch_alerting.domain.fleet import Facts, Fleet, Rulebook
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample, Stamp
from records import NOW

SECOND = timedelta(seconds=1)
BUSY = Rule(UUID(int=1), 1, "busy", Metric.CPU, timedelta(0), threshold=90.0)
SILENT = Rule(UUID(int=2), 1, "silent", Metric.HEARTBEAT, 60 * SECOND)


def kept_with(rules: Sequence[Rule], *seconds: int) -> list[list[datetime]]:
    """When the host was heard last, as it is kept after each of these samples."""
    fleet = Fleet(10 * SECOND)
    fleet.follow(Rulebook(rules, frozenset(), {"a": Facts({}, retired=False)}), NOW)
    kept = []
    for second in seconds:
        at = NOW + second * SECOND
        fleet.sample(Sample(UUID(int=7), "a", at, 1.0, 1.0, 1.0, 1, Stamp(UUID(int=1), second)), at.timestamp() * 1000)
        kept.append([host.last_at for host in fleet.kept_now(["a"])])
    return kept


def test_what_was_heard_last_is_kept_with_every_batch_where_a_heartbeat_counts_from_it() -> None:
    assert kept_with([SILENT], 0, 10, 20) == [[NOW], [NOW + 10 * SECOND], [NOW + 20 * SECOND]]


def test_of_a_host_that_is_well_and_has_no_heartbeat_it_is_kept_before_it_could_hide_a_gap() -> None:
    assert kept_with([BUSY], 0, 10, 20, 30) == [[NOW], [], [], [NOW + 30 * SECOND]]
