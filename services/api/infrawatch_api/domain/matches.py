"""What is wrong with what operators say is meant: matches that are too long, unknown, or broader than they look."""

from collections.abc import Iterator, Sequence
from typing import Any

from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match

_NAMED = 5
_ALL = {
    frozenset(Kind): "every event and all drift",
    frozenset({Kind.ALERT}): "every alert event",
    frozenset({Kind.DRIFT}): "all drift",
}


def all_of_kinds(match: Match) -> str | None:
    """Of what nothing escapes it, however it is written: everything, or all of a kind; None if something does."""
    if match._replace(severities=None, kinds=None) != Match():
        return None
    if match.severities is not None and not match.severities >= set(Severity):
        return None
    return _ALL[match.kinds or frozenset(Kind)]


def excess(match: Match, most: int, field: str) -> dict[str, str]:
    """What there cannot be of it, by field, a sentence each: lists of more than ``most`` ids, alerts of drift."""
    if match.alert_ids is not None and not match.is_for(Kind.ALERT):
        return {f"{field}.alert_ids": "should be left out where kinds has no alert: drift is of no alert"}
    return {
        f"{field}.{name}": f"should have at most {most} ids"
        for name in ("host_ids", "alert_ids")
        if len(getattr(match, name) or ()) > most
    }


def named(matches: Sequence[Match], name: str) -> set[Any]:
    """All ids in a list of the matches: ``host_ids`` or ``alert_ids``."""
    return {one for match in matches for one in getattr(match, name) or ()}


def strangers(match: Match, unknown: frozenset[Any], field: str) -> dict[str, str]:
    """Its ids that are among the unknown ones, by field; a sentence each."""
    return dict(_strangers(match, unknown, field))


def _strangers(match: Match, unknown: frozenset[Any], field: str) -> Iterator[tuple[str, str]]:
    for name, thing in (("host_ids", "host"), ("alert_ids", "alert")):
        found = sorted(map(str, (getattr(match, name) or frozenset()) & unknown))
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"{field}.{name}", f"should name what is there; there is no {thing} {', '.join(found[:_NAMED])}{more}"
