"""How often something is done that costs more the more there is of it: a decision of times alone."""

_SHORTEST, _LONGEST = 1.0, 10.0
_SHARE = 10


class Pace:
    """At most once a second, and seldom enough to take no more than a tenth of the time, but every ten seconds.

    What it takes is the lesser of the last two times: once may have been a wait for a lock or a server.
    """

    def __init__(self) -> None:
        self._next = float("-inf")
        self._before = float("inf")

    def is_due(self, now: float) -> bool:
        """Whether it is time again; ``now`` is monotonic, in seconds."""
        return now >= self._next

    def done(self, began: float, ended: float) -> None:
        """It was done in that time."""
        took = ended - began
        self._next = ended + min(max(_SHORTEST, (_SHARE - 1) * min(took, self._before)), _LONGEST)
        self._before = took
