"""Rules and hosts as the database has them."""

import json
from collections.abc import Mapping
from uuid import UUID

from infrawatch_alerting.domain.fleet import Facts, Rulebook
from infrawatch_common.alerts.rules import Comparison, Metric, Rule, Severity
from infrawatch_common.database import Pool

_RULES = """
SELECT id, version, name, metric, duration, comparison, threshold, clear_threshold, severity, host_id, selector,
       changed_at, enabled
FROM alerts ORDER BY id
"""
_AT_A_TIME = 500
_HOSTS = "SELECT id, tags, retired IS NOT NULL AS retired FROM hosts"
# One that is yet to be registered has no row in hosts either, but a key that is in use.
_DELETED = """
SELECT host_id FROM host_keys
GROUP BY host_id HAVING bool_and(revoked_at IS NOT NULL AND revoked_at <= now())
EXCEPT SELECT id FROM hosts
"""


class RuleReader:
    """Reads rules and hosts, again and again: a rule that has not changed stays the same object."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: Mapping[UUID, Rule] = {}

    async def read(self) -> Rulebook:
        """All rules and hosts, as they were at one moment."""
        rules: list[Rule] = []
        disabled: set[UUID] = set()
        acquired = self._pool.acquire()
        async with acquired as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            # There may be some for each of thousands of hosts: not all of their rows at once.
            async for row in connection.cursor(_RULES, prefetch=_AT_A_TIME):
                if row["enabled"]:
                    rule = _rule(row)
                    known = self._known.get(rule.id)
                    rules.append(known if known == rule else rule)
                else:
                    disabled.add(row["id"])
            hosts = await connection.fetch(_HOSTS)
            deleted = await connection.fetch(_DELETED)
        self._known = {rule.id: rule for rule in rules}
        return Rulebook(
            rules=rules,
            disabled=frozenset(disabled),
            hosts={row["id"]: Facts(json.loads(row["tags"]), row["retired"]) for row in hosts},
            deleted=frozenset(row["host_id"] for row in deleted),
        )


def _rule(row: object) -> Rule:
    values = dict(row)  # type: ignore[call-overload]
    return Rule(
        id=values["id"],
        version=values["version"],
        name=values["name"],
        metric=Metric(values["metric"]),
        duration=values["duration"],
        comparison=Comparison(values["comparison"]),
        threshold=values["threshold"],
        clear_threshold=values["clear_threshold"],
        severity=Severity(values["severity"]),
        host_id=values["host_id"],
        selector=json.loads(values["selector"]),
        valid_from=values["changed_at"],
    )
