"""When a job runs again: a decision of outcomes and times alone."""

from enum import StrEnum

_SHORTEST_PAUSE = 0.05
_LONGEST_BACK_OFF = 300.0


class Outcome(StrEnum):
    """What became of one run of a job."""

    DONE = "done"  # nothing is left to do
    MORE = "more"  # a part was done, and there is more
    TAKEN = "taken"  # another replica is at it
    FAILED = "failed"  # by an error of the moment


def pause_after(outcome: Outcome, *, took: float, failures: int, interval: float) -> float:
    """Seconds until the next run; ``took`` is how long this one did, ``failures`` how many have failed in a row.

    Between the parts of a large piece of work the job rests for as long as it worked, so that writers come first.
    """
    if outcome is Outcome.MORE:
        return max(took, _SHORTEST_PAUSE)
    if outcome is Outcome.FAILED:
        return min(2.0 ** min(failures, 10), _LONGEST_BACK_OFF, interval)
    return interval
