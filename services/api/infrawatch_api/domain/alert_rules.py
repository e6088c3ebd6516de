"""What operators say of an alert rule: how a change is put into it, what counts as one, and what contradicts itself."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from infrawatch_api.domain.durations import iso_8601
from infrawatch_common.alerts.rules import Comparison, Metric, Rule, Severity, complaints

# Neither counts for what a rule says.
_ANY_ID, _ANY_VERSION = UUID(int=0), 1


@dataclass(frozen=True, slots=True)
class Definition:
    """All that an operator decides about a rule; each change to it is a new version.

    It is for ``host_id``, or for every host that ``selector`` matches; the other of the two is None.
    """

    name: str
    host_id: str | None
    selector: Mapping[str, str] | None
    metric: Metric
    comparison: Comparison
    threshold: float | None
    clear_threshold: float | None
    duration: timedelta
    severity: Severity
    enabled: bool

    def as_json(self) -> dict[str, Any]:
        """Itself as JSON has it, as in answers."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"duration": iso_8601(self.duration)}


def defined(given: Mapping[str, Any]) -> Definition:
    """The definition with these fields. Beside a host, an empty selector means none."""
    return _scoped(Definition(**given))


def merged(before: Definition, given: Mapping[str, Any]) -> Definition:
    """The definition with the given fields instead of its own; None is a value as any other."""
    return _scoped(replace(before, **given))


def _scoped(definition: Definition) -> Definition:
    if definition.host_id is not None and not definition.selector:
        return replace(definition, selector=None)
    return definition


def as_rule(definition: Definition) -> Rule:
    """What the decision needs of it; for whom it is, is decided elsewhere."""
    return Rule(
        id=_ANY_ID,
        version=_ANY_VERSION,
        name=definition.name,
        metric=definition.metric,
        duration=definition.duration,
        comparison=definition.comparison,
        threshold=definition.threshold,
        clear_threshold=definition.clear_threshold,
    )


def objections(definition: Definition, longest: timedelta) -> dict[str, str]:
    """Why there can be no such rule, by field; a sentence each."""
    found = complaints(as_rule(definition))
    if definition.duration > longest:
        found["duration"] = f"should be at most {iso_8601(longest)}"
    if definition.host_id is None and definition.selector is None:
        found["selector"] = "is needed where host_id is null; an empty one, {}, selects every host"
    elif definition.host_id is not None and definition.selector is not None:
        found["selector"] = "should be null where host_id is given: a rule is for one host, or for all that it selects"
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields that differ, each as ``{"before": …, "after": …}``."""
    return {
        name: {"before": before.get(name), "after": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
