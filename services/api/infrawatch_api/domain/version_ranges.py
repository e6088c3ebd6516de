"""Whether a version lies in a range, by the order of the source that lists it."""

from typing import NamedTuple

from infrawatch_common.drift.versions import Order, order


class VersionRange(NamedTuple):
    """From ``least`` to ``most``, both included, and before ``before``; None is no bound."""

    least: str | None = None
    most: str | None = None
    before: str | None = None

    def holds(self, source: str, version: str) -> bool | None:
        """Whether the version is in it; None if that cannot be told, since it has no order there, or a bound has none.

        A package that is there in several versions counts as its newest.
        """
        bounds = ((self.least, {Order.OLDER}), (self.most, {Order.NEWER}), (self.before, {Order.NEWER, Order.SAME}))
        compared = [(order(source, version, bound), outside) for bound, outside in bounds if bound is not None]
        if any(found in outside for found, outside in compared):
            return False
        return None if any(found is Order.UNKNOWN for found, _ in compared) else True
