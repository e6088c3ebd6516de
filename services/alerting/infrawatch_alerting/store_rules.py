"""Rules and hosts as the database has them."""

import json

from infrawatch_alerting.domain.fleet import Facts, Rulebook
from infrawatch_common.alerts.rules import Comparison, Metric, Rule, Severity
from infrawatch_common.database import Pool

_RULES = """
SELECT id, version, name, metric, duration, comparison, threshold, clear_threshold, severity, host_id, selector,
       changed_at, enabled
FROM alerts ORDER BY id
"""
_HOSTS = "SELECT id, tags, retired IS NOT NULL AS retired FROM hosts"
# One that is yet to be registered has no row in hosts either, but a key that is in use.
_DELETED = """
SELECT host_id FROM host_keys
GROUP BY host_id HAVING bool_and(revoked_at IS NOT NULL AND revoked_at <= now())
EXCEPT SELECT id FROM hosts
"""


async def read_rulebook(pool: Pool) -> Rulebook:
    """All rules and hosts, as they were at one moment."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch(_RULES)
        hosts = await connection.fetch(_HOSTS)
        deleted = await connection.fetch(_DELETED)
    return Rulebook(
        rules=[_rule(row) for row in rows if row["enabled"]],
        disabled=frozenset(row["id"] for row in rows if not row["enabled"]),
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
