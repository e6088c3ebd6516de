"""The rules of a host, made ready for its samples, and what becomes of one of them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import State, Transition
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample


class Change(NamedTuple):
    """What became of one rule for a host; without ``transition`` only its state changed.

    ``rule`` is None when it was closed because the rule is no longer there, or no longer the same. What is
    ``back_filled`` was found in samples that came after newer ones: it is over for the present state, which stays.
    """

    alert_id: UUID
    rule: Rule | None
    state: State
    transition: Transition | None
    back_filled: bool = False


Changes = Sequence[Change]
NOTHING: Changes = ()
_READ: Mapping[Metric, Callable[[Sample], float]] = {
    metric: attrgetter(metric.value) for metric in (Metric.CPU, Metric.MEMORY, Metric.DISK, Metric.UPTIME)
}


class RuleSet:
    """The enabled rules of a host; hosts with the same rules share one.

    While nothing is pending or fires, a sample whose four values lie strictly inside ``quiet`` changes nothing.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self.thresholds = [
            (rule, _READ[rule.metric]) for rule in self.rules.values() if rule.metric is not Metric.HEARTBEAT
        ]
        self.heartbeats = [rule for rule in self.rules.values() if rule.metric is Metric.HEARTBEAT]
        self.patience = min((rule.duration for rule in self.heartbeats), default=timedelta.max)
        self.quiet = tuple(bound for metric in _READ for bound in self._quiet(metric))

    def _quiet(self, metric: Metric) -> tuple[float, float]:
        low, high = -math.inf, math.inf
        for rule, _ in self.thresholds:
            if rule.metric is metric and rule.threshold is not None:
                if rule.comparison.is_upward:
                    high = min(high, rule.threshold)
                else:
                    low = max(low, rule.threshold)
        return low, high
