"""What is wrong with what operators say of events: matches that are too long, unknown, or broader than they look."""

from collections.abc import Iterator, Sequence
from typing import Any

from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Match

_NAMED = 5


def is_everything(match: Match) -> bool:
    """Whether no event escapes it, however it is written."""
    return match._replace(severities=None) == Match() and (
        match.severities is None or match.severities >= set(Severity)
    )


def overlong(match: Match, most: int, field: str) -> dict[str, str]:
    """Its lists of more than ``most`` ids, by field; a sentence each."""
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
