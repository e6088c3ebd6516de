"""A fleet with a year of snapshots, and how they changed, made by the database itself."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bench.sizes import Sizes
from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.facts import KERNEL_NAME, OS_NAME, Fact, fact_key, subject

EVERY = timedelta(days=14)
ROUNDS = 26  # in a year
SHARE = 100  # one package in so many is upgraded in each round
VENV, VENV_PACKAGES = "python:/opt/app", 20  # on every second host
DEVIANT = 4  # one host in so many never takes one of the upgrades

# A tenth of the hosts has no group.
_HOSTS = """
INSERT INTO hosts (id, name, tags)
SELECT 'host-' || to_char(n, 'FM00000'), 'host ' || n,
       CASE WHEN n % 10 = 9 THEN '{}'::jsonb ELSE jsonb_build_object('group', 'g' || n % 10) END
FROM generate_series(0, $1::int - 1) AS n
"""
# $1: hosts; $2: time of the round; $3: its number; $4 and $5: the facts of hosts without and with the further source;
# $6 and $7: the facts before and after each upgrade of the year; $8: the packages as JSON.
_SNAPSHOTS = """
INSERT INTO snapshots (id, host_id, timestamp, os_info, kernel, packages, env_vars, digest, confirmed_at, facts)
SELECT md5(n || '-' || $3::int)::uuid, 'host-' || to_char(n, 'FM00000'), $2::timestamptz + n * INTERVAL '1 minute',
       'Debian GNU/Linux 13', '6.12.' || $3::int, $8::jsonb, '{"LANG": "C.UTF-8", "TZ": "UTC"}',
       sha256(int4send(n) || int4send($3::int)), $2::timestamptz + INTERVAL '13 days 12 hours',
       CASE WHEN n % {deviant} = 0 AND cardinality($7::int[]) > 0
            THEN array_replace(mine, ($7::int[])[1 + n % cardinality($7::int[])],
                               ($6::int[])[1 + n % cardinality($6::int[])])
            ELSE mine END
FROM generate_series(0, $1::int - 1) AS n,
     LATERAL (SELECT CASE WHEN n % 2 = 0 THEN $5::int[] ELSE $4::int[] END AS mine) AS of_host
""".replace("{deviant}", str(DEVIANT))
# $4: subjects, $5: categories, $6: sources, $7: names, $8 and $9: values before and after; $10: the number of the
# upgrade in the year, from 0, and $11: how many upgrades there are.
_CHANGES = """
INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, subject, action, direction,
                           before, after, severity, reason, found_at, late)
SELECT gen_random_uuid(), 'host-' || to_char(n, 'FM00000'), md5(n || '-' || $3::int)::uuid,
       $2::timestamptz - INTERVAL '12 hours', at, category, source, name, subject, 'changed',
       CASE category WHEN 'package' THEN 'upgraded' END, to_jsonb(old), to_jsonb(new), 'info', 'bench', at, FALSE
FROM generate_series(0, $1::int - 1) AS n,
     LATERAL (SELECT $2::timestamptz + n * INTERVAL '1 minute' AS at) AS of_host,
     unnest($4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[])
         AS change (subject, category, source, name, old, new, number)
WHERE NOT (n % {deviant} = 0 AND n % $11::int = number)
""".replace("{deviant}", str(DEVIANT))


@dataclass
class FleetPlan:
    """What most hosts have in each round, and what is upgraded in it."""

    packages: int
    upgrades: list[tuple[Fact, Fact]] = field(default_factory=list)  # of packages, in the order of the year
    states: list[list[Fact]] = field(default_factory=list)
    changes: list[list[tuple[Fact, Fact]]] = field(default_factory=list)

    @classmethod
    def of(cls, sizes: Sizes) -> "FleetPlan":
        """A year of a fleet in which one package in ``SHARE`` is upgraded in every round."""
        plan = cls(sizes.fleet_views_packages)
        each = max(1, plan.packages // SHARE)
        state = {fact.about: fact for fact in plan._first()}
        plan.states.append(list(state.values()))
        plan.changes.append([])
        for number in range(1, ROUNDS):
            kernel = Fact(Category.KERNEL, "", KERNEL_NAME, f"6.12.{number}")
            names = {f"package-{place % plan.packages:04}" for place in range(number * each, (number + 1) * each)}
            upgrades = [(old, old._replace(value=f"1.{number}-1")) for old in state.values() if old.name in names]
            plan.upgrades += upgrades
            plan.changes.append([*upgrades, (state[kernel.about], kernel)])
            state |= {new.about: new for _, new in plan.changes[-1]}
            plan.states.append(list(state.values()))
        return plan

    def _first(self) -> Iterator[Fact]:
        yield Fact(Category.OS, "", OS_NAME, "Debian GNU/Linux 13")
        yield Fact(Category.KERNEL, "", KERNEL_NAME, "6.12.0")
        for number in range(self.packages):
            yield Fact(Category.PACKAGE, "dpkg", f"package-{number:04}", "1.0-1")
        for name, value in (("LANG", "C.UTF-8"), ("TZ", "UTC")):
            yield Fact(Category.ENV, "", name, value)

    @property
    def venv(self) -> list[Fact]:
        """What every second host has besides."""
        return [Fact(Category.PACKAGE, VENV, f"module-{number}", "2.0") for number in range(VENV_PACKAGES)]

    def facts(self) -> list[Fact]:
        """Every fact, in the order in which it comes up."""
        later = [new for changes in self.changes for _, new in changes]
        return list(dict.fromkeys([*self.states[0], *self.venv, *later]))


async def fill(admin: Any, sizes: Sizes, end: datetime) -> FleetPlan:
    """Hosts, facts, snapshots and changes of the year before ``end``."""
    plan = FleetPlan.of(sizes)
    await admin.execute(_HOSTS, sizes.fleet_views_hosts)
    ids = await _facts(admin, plan)
    changed = _ids(ids, [new for _, new in plan.upgrades])
    unchanged = _ids(ids, [old for old, _ in plan.upgrades])
    numbers = {new: number for number, (_, new) in enumerate(plan.upgrades)}
    for number, state in enumerate(plan.states):
        at = end - EVERY * (ROUNDS - number)
        listed = {fact.name: fact.value for fact in state if fact.source == "dpkg"}
        plain, further = sorted(_ids(ids, state)), sorted(_ids(ids, [*state, *plan.venv]))
        about = (sizes.fleet_views_hosts, at, number)
        await admin.execute(
            _SNAPSHOTS, *about, plain, further, unchanged, changed, json.dumps({"dpkg": listed}), timeout=120
        )
        if plan.changes[number]:
            rows = [
                (subject(new.about), new.category, new.source, new.name, old.value, new.value, numbers.get(new, -1))
                for old, new in plan.changes[number]
            ]
            columns = [list(column) for column in zip(*rows, strict=True)]
            await admin.execute(_CHANGES, *about, *columns, len(plan.upgrades), timeout=120)
    await admin.execute("VACUUM (ANALYZE) hosts, facts, snapshots, drift_changes")
    return plan


async def _facts(admin: Any, plan: FleetPlan) -> dict[bytes, int]:
    rows = [(fact_key(fact), subject(fact.about), *fact) for fact in plan.facts()]
    columns = ["key", "subject", "category", "source", "name", "value"]
    await admin.copy_records_to_table("facts", records=rows, columns=columns)
    return {row["key"]: row["id"] for row in await admin.fetch("SELECT key, id FROM facts")}


def _ids(ids: dict[bytes, int], facts: Sequence[Fact]) -> list[int]:
    return [ids[fact_key(fact)] for fact in facts]
