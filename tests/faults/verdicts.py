"""The judges of a fault: pure functions of what was recorded, each able to say no.

Times are seconds on one monotonic clock. Every judge returns a ``Check`` that says what was found and what was allowed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ledger import Verdict

# Memory: what a slope cannot tell from buffers that fill and an allocator that breathes; less so over minutes.
_NOISE, _SHORT_NOISE = 0.03, 0.15
_SHORT = 300.0
_SLOPE_PER_HOUR = 0.01
_PEAK = 1.5
# Readiness asks with a limit of 2 s, and is asked twice a second.
GRACE = 4.0
# What is asked during a fault may be answered after it.
_ANSWER = 2.5
# A new member of a group waits until a killed one is given up.
START = 20.0


@dataclass(frozen=True)
class Check:
    """One line of a verdict: the rule by its letter in the fault matrix."""

    rule: str
    holds: bool
    found: str
    allowed: str


@dataclass(frozen=True)
class Vitals:
    """One process at one time. ``checks`` is its readiness report, None while it does not answer."""

    at: float
    pid: int
    rss: int  # bytes
    descriptors: int
    threads: int
    checks: Mapping[str, str] | None
    stored: float | None = None  # records, since the process started
    stored_at: float | None = None


@dataclass(frozen=True)
class Reading:
    """The consumer group at one time, as the broker tells it: by partition."""

    at: float
    committed: Mapping[int, int]
    ends: Mapping[int, int]

    @property
    def lag(self) -> int:
        """Records that are not yet committed."""
        return sum(end - self.committed.get(partition, 0) for partition, end in self.ends.items())


@dataclass(frozen=True)
class Span:
    """Something that was broken on purpose; ``name`` is the health check that must say so.

    It was surely away from ``begin`` to ``end``, and is surely back at ``mended``.
    """

    name: str
    begin: float
    end: float
    mended: float


def nothing_lost(verdict: Verdict, acknowledged: int) -> Check:
    """L0: every acknowledged record is a row or a dead letter, and nothing else is."""
    holds = acknowledged > 0 and not verdict.lost and not verdict.unknown
    return Check(
        "L0",
        holds,
        f"{len(verdict.lost)} lost, {len(verdict.unknown)} unknown of {acknowledged:,}",
        "0 lost, 0 unknown",
    )


def nothing_doubled(verdict: Verdict) -> Check:
    """D0: no record is there twice."""
    return Check("D0", not verdict.doubled, f"{len(verdict.doubled)} doubled", "0 doubled")


def bounded_memory(vitals: Sequence[Vitals], warm_up: float) -> Check:
    """M: after ``warm_up`` seconds of a process, it neither grows nor peaks; the worst process counts.

    Growth is from the median of the first third to that of the last: 1 % an hour, and 3 % that is noise (15 % when
    less than five minutes were watched).
    """
    worst_growth, worst_peak, judged, allowed = 0.0, 0.0, 0, 0.0
    for series in _by_process(vitals).values():
        steady = [one for one in series if one.at >= series[0].at + warm_up]
        if len(steady) < 6:
            continue
        judged += 1
        third = len(steady) // 3
        first, last = (median(one.rss for one in part) for part in (steady[:third], steady[-third:]))
        watched = steady[-1].at - steady[0].at
        noise = _SHORT_NOISE if watched < _SHORT else _NOISE
        allowed = max(allowed, noise + _SLOPE_PER_HOUR * watched / 3600)
        worst_growth = max(worst_growth, last / first - 1)
        worst_peak = max(worst_peak, max(one.rss for one in steady) / median(one.rss for one in steady))
    holds = judged > 0 and worst_growth <= allowed and worst_peak <= _PEAK
    top = max((one.rss for one in vitals), default=0) / 2**20
    return Check(
        "M",
        holds,
        f"growth {worst_growth:+.1%}, peak {worst_peak:.2f} of steady, at most {top:.0f} MB",
        f"growth {allowed:.1%}, peak {_PEAK}" if judged else "enough samples to judge",
    )


def flat_handles(vitals: Sequence[Vitals], warm_up: float) -> Check:
    """M: file descriptors (sockets are some) and threads do not pile up."""
    most = 0
    for series in _by_process(vitals).values():
        steady = [one for one in series if one.at >= series[0].at + warm_up]
        if len(steady) < 6:
            continue
        third = len(steady) // 3
        for handles in ([one.descriptors for one in steady], [one.threads for one in steady]):
            most = max(most, round(median(handles[-third:]) - median(handles[:third])))
    return Check("M fds", most <= 3, f"{most:+d} descriptors or threads", "+3")


def recovered(readings: Sequence[Reading], healed: float, bound: float, baseline: int, rule: str = "R") -> Check:
    """R: seconds from the end of the fault until what had come until then is committed, and the lag at its baseline."""
    seconds = recovery(readings, healed, baseline)
    found = "never" if seconds is None else f"{seconds:.1f} s"
    return Check(rule, seconds is not None and seconds <= bound, found, f"{bound:.0f} s")


def recovery(readings: Sequence[Reading], healed: float, baseline: int) -> float | None:
    """Seconds to recover; the lag must stay low for two readings. None when that did not happen."""
    after = [reading for reading in readings if reading.at >= healed]
    for one, following in pairwise(after):
        done = all(one.committed.get(partition, 0) >= end for partition, end in after[0].ends.items())
        if done and one.lag <= baseline and following.lag <= baseline:
            return one.at - healed
    return None


def p99_of_lag(readings: Sequence[Reading], vitals: Sequence[Vitals], begin: float) -> float:
    """Seconds from a record's arrival on the topic to its row, where one process alone takes all of the topic.

    The row that was counted last had arrived when the topic's end was at that count.
    """
    course = [(one.at, sum(one.ends.values())) for one in readings]
    lags = sorted(
        stored_at - _arrival(course, stored)
        for stored, stored_at in ((one.stored, one.stored_at) for one in vitals)
        if stored is not None and stored_at is not None and stored_at >= begin
    )
    return lags[min(len(lags) - 1, round(len(lags) * 0.99))]


def _arrival(course: Sequence[tuple[float, int]], records: float) -> float:
    """When the topic held so many records, the later ones evenly between two looks at it."""
    for (earlier, fewer), (later, more) in pairwise(course):
        if fewer <= records < more:
            return earlier + (later - earlier) * (records - fewer) / (more - fewer)
    return course[-1][0] if records >= course[-1][1] else course[0][0]


def no_regression(readings: Sequence[Reading]) -> Check:
    """O: committed offsets never go back."""
    back = [
        f"partition {partition}: {offset} → {following.committed[partition]}"
        for one, following in pairwise(readings)
        for partition, offset in one.committed.items()
        if following.committed.get(partition, offset) < offset
    ]
    return Check("O", bool(readings) and not back, "; ".join(back[:3]) or "offsets only advance", "no offset goes back")


def stands_still(readings: Sequence[Reading], span: Span) -> Check:
    """O: between the beginning of a fault (and what was under way then) and its end, no offset advances."""
    during = [reading for reading in readings if span.begin + 1.0 <= reading.at <= span.end]
    moved = sum(during[-1].committed.values()) - sum(during[0].committed.values()) if len(during) > 1 else None
    return Check("O still", moved == 0, f"{moved} committed while {span.name} was away", "0")


def progresses(readings: Sequence[Reading], begin: float, end: float, every: float) -> Check:
    """P: in each ``every`` seconds something is committed."""
    longest = 0.0
    since = begin
    total = -1
    for reading in readings:
        if not begin <= reading.at <= end:
            continue
        done = sum(reading.committed.values())
        if done > total:
            longest, since, total = max(longest, reading.at - since), reading.at, done
    longest = max(longest, end - since)
    return Check("P", total > 0 and longest <= every, f"longest pause {longest:.1f} s", f"{every:.0f} s")


def truthful(vitals: Sequence[Vitals], faults: Collection[Span]) -> Check:
    """S: readiness names what is broken while it is, and says ready while nothing is.

    Right after a change it may still say the old thing (``GRACE``), and a process that has just started may say for
    ``START`` that it is not yet ready. A process that does not answer says nothing.
    """
    lies = []
    for series in _by_process(vitals).values():
        ready = [one.at for one in series if one.checks is not None and not _wrong(one.checks)]
        started = min(min(ready, default=series[-1].at), series[0].at + START)
        lies += [lie for one in series if one.at >= started and (lie := _lie(one, faults))]
    answers = sum(1 for one in vitals if one.checks is not None)
    seen = "; ".join(sorted(set(lies))[:3])
    return Check("S", answers > 0 and not lies, f"{len(lies)} of {answers} answers untrue {seen}".strip(), "0 untrue")


def _lie(one: Vitals, faults: Collection[Span]) -> str | None:
    if one.checks is None:
        return None
    wrong = _wrong(one.checks)
    around = [fault for fault in faults if fault.begin <= one.at <= fault.mended + GRACE]
    silent = [
        fault for fault in around if fault.begin + GRACE <= one.at <= fault.end - _ANSWER and fault.name not in wrong
    ]
    if silent:
        return f"{silent[0].name} is away and it says {dict(one.checks)}"
    if wrong and not around:
        return f"nothing is away and it says {dict(one.checks)}"
    return None


def _wrong(checks: Mapping[str, str]) -> set[str]:
    return {name for name, state in checks.items() if state != "ok"}


def no_crash(exits: Sequence[tuple[str, int | None]]) -> Check:
    """S: nothing ended that was not ended on purpose; ``exits`` are the others, with exit code."""
    return Check(
        "S run", not exits, ", ".join(f"{name} ended with {code}" for name, code in exits) or "none ended", "none"
    )


def stopped_in_time(stops: Sequence[tuple[float, int]], bound: float) -> Check:
    """S: every SIGTERM (seconds, exit code) is answered in time, and with 0."""
    slowest = max((seconds for seconds, _ in stops), default=0.0)
    codes = {code for _, code in stops}
    return Check(
        "S stop",
        bool(stops) and slowest <= bound and codes == {0},
        f"{len(stops)} stops, slowest {slowest:.1f} s, exit codes {sorted(codes)}",
        f"{bound:.0f} s, exit code 0",
    )


def at_most(rule: str, what: str, found: float, bound: float) -> Check:
    """A number with an upper bound."""
    return Check(rule, found <= bound, f"{found:,.6g} {what}", f"{bound:,.6g}")


def at_least(rule: str, what: str, found: float, bound: float) -> Check:
    """A number with a lower bound."""
    return Check(rule, found >= bound, f"{found:,.6g} {what}", f"at least {bound:,.6g}")


def _by_process(vitals: Sequence[Vitals]) -> dict[int, list[Vitals]]:
    series: dict[int, list[Vitals]] = {}
    for one in vitals:
        series.setdefault(one.pid, []).append(one)
    return series
