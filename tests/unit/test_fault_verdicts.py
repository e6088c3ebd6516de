"""Every judge of the fault matrix says yes to what holds and no to what does not."""

from collections.abc import Mapping, Sequence

import pytest

from faults import verdicts
from faults.matrix import SCENARIOS
from faults.scenario import Outcome
from faults.verdicts import Check, Reading, Span, Vitals
from ledger import compare

READY = {"database": "ok", "kafka": "ok", "consumer": "ok"}
MEGABYTE = 2**20


def vitals(
    rss: Sequence[float], *, pid: int = 1, descriptors: Sequence[int] = (), checks: Mapping[str, str] | None = None
) -> list[Vitals]:
    """One sample a second."""
    return [
        Vitals(float(at), pid, round(size * MEGABYTE), descriptors[at] if descriptors else 20, 5, checks or READY)
        for at, size in enumerate(rss)
    ]


def readings(committed: Sequence[int], ends: Sequence[int] | None = None) -> list[Reading]:
    """One a second, of one partition."""
    return [
        Reading(float(at), {0: offset}, {0: end})
        for at, (offset, end) in enumerate(zip(committed, ends or committed, strict=True))
    ]


def saying(*states: Mapping[str, str] | None) -> list[Vitals]:
    """A process that was ready first, then said this, once a second."""
    return [Vitals(float(at), 1, MEGABYTE, 20, 5, checks) for at, checks in enumerate([READY, *states])]


class TestL0AndD0:
    def test_all_there_once(self) -> None:
        verdict = compare(["a", "b"], ["a", "b"], ["a", "b"])
        assert verdicts.nothing_lost(verdict, 2).holds
        assert verdicts.nothing_doubled(verdict).holds

    def test_a_lost_record_fails_l0_alone(self) -> None:
        verdict = compare(["a", "b"], ["a", "b"], ["a"])
        assert not verdicts.nothing_lost(verdict, 2).holds
        assert verdicts.nothing_doubled(verdict).holds

    def test_a_doubled_record_fails_d0_alone(self) -> None:
        verdict = compare(["a"], ["a"], ["a", "a"])
        assert verdicts.nothing_lost(verdict, 1).holds
        assert not verdicts.nothing_doubled(verdict).holds

    def test_a_load_that_sent_nothing_proves_nothing(self) -> None:
        assert not verdicts.nothing_lost(compare([], [], []), 0).holds


class TestLag:
    TOPIC = readings([0] * 11, [100 * at for at in range(11)])  # 100 records a second

    def counted(self, behind: float) -> list[Vitals]:
        return [
            Vitals(float(at), 1, MEGABYTE, 20, 5, READY, stored=100 * (at - behind), stored_at=float(at))
            for at in range(3, 11)
        ]

    def test_is_from_the_arrival_to_the_row(self) -> None:
        assert verdicts.p99_of_lag(self.TOPIC, self.counted(behind=1.5), 0) == pytest.approx(1.5)

    def test_one_late_row_of_few_counts(self) -> None:
        late = [Vitals(9.5, 1, MEGABYTE, 20, 5, READY, stored=300, stored_at=9.5)]
        assert verdicts.p99_of_lag(self.TOPIC, [*self.counted(behind=0), *late], 0) == pytest.approx(6.5)

    def test_what_was_before_does_not_count(self) -> None:
        early = [Vitals(2.0, 1, MEGABYTE, 20, 5, READY, stored=0, stored_at=2.0)]
        assert verdicts.p99_of_lag(self.TOPIC, [*early, *self.counted(behind=1.0)], 3) == pytest.approx(1.0)


class TestM:
    def test_flat_memory_holds(self) -> None:
        assert verdicts.bounded_memory(vitals([100, 101] * 30), warm_up=4).holds

    def test_growth_while_it_warms_up_is_no_leak(self) -> None:
        assert verdicts.bounded_memory(vitals([50, 60, 80, 90, *[100] * 30]), warm_up=5).holds

    def test_a_leak_fails(self) -> None:
        leak = verdicts.bounded_memory(vitals([100 + second for second in range(60)]), warm_up=4)
        assert not leak.holds

    def test_a_leak_in_one_process_of_two_fails(self) -> None:
        both = vitals([100] * 60) + vitals([100 + second for second in range(60)], pid=2)
        assert not verdicts.bounded_memory(both, warm_up=4).holds

    def test_a_peak_fails(self) -> None:
        assert not verdicts.bounded_memory(vitals([*[100] * 30, 160, *[100] * 30]), warm_up=4).holds

    def test_over_an_hour_the_slope_is_what_counts(self) -> None:
        hours = [
            Vitals(hour * 3600.0, 1, round(size * MEGABYTE), 20, 5, READY)
            for hour, size in enumerate([100, 100, 100, 105, 105, 105, 110, 110, 110])
        ]
        assert verdicts.bounded_memory(hours, warm_up=0).holds  # 10 % in 8 hours, of which 3 % are noise
        assert not verdicts.bounded_memory([*hours[:-3], *[_grown(one, 1.05) for one in hours[-3:]]], warm_up=0).holds

    def test_nothing_measured_proves_nothing(self) -> None:
        assert not verdicts.bounded_memory(vitals([100] * 3), warm_up=4).holds

    def test_descriptors_that_pile_up_fail(self) -> None:
        assert verdicts.flat_handles(vitals([100] * 30, descriptors=[20, 22] * 15), warm_up=4).holds
        assert not verdicts.flat_handles(vitals([100] * 30, descriptors=list(range(30))), warm_up=4).holds


class TestR:
    def test_back_in_time(self) -> None:
        course = readings([0, 0, 0, 90, 100], [10, 50, 90, 100, 100])
        assert verdicts.recovered(course, healed=1.0, bound=2.0, baseline=10).holds

    def test_back_too_late(self) -> None:
        course = readings([0, 0, 0, 90, 100], [10, 50, 90, 100, 100])
        assert not verdicts.recovered(course, healed=1.0, bound=1.5, baseline=10).holds

    def test_a_lag_that_is_low_only_once_is_not_back(self) -> None:
        course = readings([0, 95, 95, 95], [50, 100, 200, 300])
        assert not verdicts.recovered(course, healed=0.0, bound=9.0, baseline=10).holds

    def test_a_lag_that_is_low_because_little_has_come_is_not_back(self) -> None:
        course = readings([5, 5, 5, 5, 40], [6, 8, 12, 30, 40])
        assert verdicts.recovery(course, healed=0.5, baseline=10) is None
        assert verdicts.recovery([*course, Reading(5.0, {0: 40}, {0: 41})], healed=0.5, baseline=10) == 3.5

    def test_never_back(self) -> None:
        assert not verdicts.recovered(readings([0, 0, 0], [10, 50, 90]), healed=0.0, bound=9.0, baseline=5).holds


class TestS:
    def test_ready_while_all_is_well(self) -> None:
        assert verdicts.truthful(saying(*[READY] * 9), []).holds

    def test_a_false_alarm_fails(self) -> None:
        assert not verdicts.truthful(saying(READY, {**READY, "database": "away"}), []).holds

    def test_ready_during_a_fault_fails(self) -> None:
        assert not verdicts.truthful(saying(*[READY] * 12), [Span("database", 2, 10, 10)]).holds

    def test_the_wrong_name_fails(self) -> None:
        during = {**READY, "kafka": "away"}
        assert not verdicts.truthful(saying(READY, *[during] * 9), [Span("database", 1, 10, 10)]).holds

    def test_the_right_name_holds(self) -> None:
        during = {**READY, "database": "away"}
        assert verdicts.truthful(saying(READY, *[during] * 9, READY), [Span("database", 1, 10, 10)]).holds

    def test_still_not_ready_long_after_a_fault_fails(self) -> None:
        during = {**READY, "database": "away"}
        assert not verdicts.truthful(saying(READY, *[during] * 20), [Span("database", 1, 5, 5)]).holds

    def test_a_process_that_starts_may_say_that_it_is_not_ready(self) -> None:
        waking = Vitals(0.0, 1, MEGABYTE, 20, 5, {**READY, "consumer": "not yet joined"})
        assert verdicts.truthful([waking, Vitals(1.0, 1, MEGABYTE, 20, 5, READY)], []).holds

    def test_a_process_that_never_gets_ready_fails(self) -> None:
        never = [Vitals(float(at), 1, MEGABYTE, 20, 5, {**READY, "consumer": "no"}) for at in range(40)]
        assert not verdicts.truthful(never, []).holds

    def test_no_answer_at_all_proves_nothing(self) -> None:
        assert not verdicts.truthful([Vitals(0.0, 1, MEGABYTE, 20, 5, None)], []).holds

    def test_a_process_that_ended_by_itself_fails(self) -> None:
        assert verdicts.no_crash([]).holds
        assert not verdicts.no_crash([("ingest", 1)]).holds

    @pytest.mark.parametrize("stops", [[], [(6.0, 0)], [(0.3, 1)], [(0.3, -15)]])
    def test_a_stop_that_is_late_or_unclean_fails(self, stops: list[tuple[float, int]]) -> None:
        assert verdicts.stopped_in_time([(0.3, 0)], 5).holds
        assert not verdicts.stopped_in_time(stops, 5).holds


class TestOffsets:
    def test_an_offset_that_goes_back_fails(self) -> None:
        assert verdicts.no_regression(readings([1, 2, 2, 3])).holds
        assert not verdicts.no_regression(readings([1, 3, 2])).holds

    def test_an_offset_that_advances_during_a_fault_fails(self) -> None:
        assert verdicts.stands_still(readings([1, 2, 5, 5, 5, 9]), Span("database", 1, 4, 4)).holds
        assert not verdicts.stands_still(readings([1, 2, 5, 6, 6, 9]), Span("database", 1, 4, 4)).holds

    def test_no_reading_during_the_fault_proves_nothing(self) -> None:
        assert not verdicts.stands_still(readings([1, 2]), Span("database", 5, 9, 9)).holds

    def test_a_long_pause_fails(self) -> None:
        assert verdicts.progresses(readings([1, 2, 2, 3]), 0, 3, every=2).holds
        assert not verdicts.progresses(readings([1, 2, 2, 2, 3]), 0, 4, every=2).holds
        assert not verdicts.progresses(readings([1, 2, 2, 2, 2]), 0, 4, every=2).holds


def test_a_scenario_without_checks_does_not_hold() -> None:
    assert not Outcome(SCENARIOS[0], 1.0, []).holds
    assert Outcome(SCENARIOS[0], 1.0, [Check("L0", True, "", "")]).holds
    assert not Outcome(SCENARIOS[0], 1.0, [Check("L0", True, "", ""), Check("D0", False, "", "")]).holds


def _grown(one: Vitals, factor: float) -> Vitals:
    return Vitals(one.at, one.pid, round(one.rss * factor), one.descriptors, one.threads, one.checks)
