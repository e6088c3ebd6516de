"""Rules and hosts that are edited while they fire, and alerting killed in between."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from faults.alert_verdicts import ended_as, no_orphans, told
from faults.alerts import BUSY, Rule, add_hosts, add_rules, firings, published
from faults.world import World
from stack import Service, eventually

_CHANGE = "UPDATE alerts SET version = version + 1, changed_at = now()"
_PATIENCE = 30.0

Reasons = Sequence[str | None]  # why each event of a rule and a host ended, None: it fires
Expected = dict[tuple[UUID, str], Reasons]


async def edited(world: World) -> None:
    """Hosts are retired and deleted, rules changed, switched off and deleted, all while they fire, again and again.

    In every other round alerting is killed right after the hosts went, in the others after the rules.
    """
    scene = _Edits(world, await world.alerting(), set(world.load.host_ids))
    await add_hosts(world.database, world.load.host_ids)
    async with world.under_load(rate=200, shape=scene.shape):
        for number in range(world.scale.times(6, at_least=2)):
            rules = [Rule() for _ in range(4)]
            await scene.fire(rules)
            await scene.lose_hosts(rules, kill=number % 2 == 1)
            await scene.edit_rules(*rules, kill=number % 2 == 0)
    await scene.judge()


@dataclass
class _Edits:
    """``hosts`` are those that are left, ``expected`` what has happened so far."""

    world: World
    alerting: Service
    hosts: set[str]
    expected: Expected = field(default_factory=dict)
    _purged: set[str] = field(default_factory=set)
    _rules: list[Rule] = field(default_factory=list)

    def shape(self, record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return [] if record["host_id"] in self._purged else [{**record, "cpu": BUSY}]

    async def fire(self, rules: Sequence[Rule]) -> None:
        """Add rules, and wait until they fire for every host."""
        self._rules += rules
        await add_rules(self.world.database, rules)
        await self._until({rule: [None] for rule in rules})

    async def lose_hosts(self, rules: Sequence[Rule], *, kill: bool) -> None:
        """Retire a host and purge another one."""
        retired, purged = sorted(self.hosts)[:2]
        self.hosts -= {retired, purged}
        self._purged.add(purged)
        await self._done_until_now()
        await self._execute("UPDATE hosts SET retired = now() WHERE id = $1", retired)
        await self._execute("UPDATE host_keys SET revoked_at = now() WHERE host_id = $1", purged)
        await self._execute("DELETE FROM hosts WHERE id = $1", purged)
        await self._kill_if(kill)
        for host, reason in ((retired, "host_retired"), (purged, "host_deleted")):
            self.expected |= {(rule.id, host): [reason] for rule in rules}
        await self._until({rule: [None] for rule in rules})

    async def edit_rules(self, changed: Rule, disabled: Rule, deleted: Rule, kept: Rule, *, kill: bool) -> None:
        """Do to each rule what its name says; in the end none is left."""
        await self._execute(f"{_CHANGE}, threshold = threshold + 1 WHERE id = $1", changed.id)
        await self._execute(f"{_CHANGE}, enabled = FALSE WHERE id = $1", disabled.id)
        await self._execute("DELETE FROM alerts WHERE id = $1", deleted.id)
        await self._kill_if(kill)
        gone: dict[Rule, Reasons] = {disabled: ["rule_disabled"], deleted: ["rule_deleted"]}
        await self._until({**gone, kept: [None], changed: ["rule_changed", None]})
        await self._execute("DELETE FROM alerts WHERE id = ANY ($1)", [changed.id, kept.id])
        gone |= {kept: ["rule_deleted"], changed: ["rule_changed", "rule_deleted"]}
        self.expected |= self._for_all_hosts(gone)
        await self._until({})

    async def judge(self) -> None:
        """All events, what was told of them, and the states that are left."""
        await self.world.caught_up(60)
        found = await firings(self.world.database)
        published_events = await published(self.world, self._rules)
        async with self.world.database.admin() as connection:
            states = [(row[0], row[1]) for row in await connection.fetch("SELECT alert_id, host_id FROM alert_states")]
            rules = [row[0] for row in await connection.fetch("SELECT id FROM alerts WHERE enabled")]
        self.world.checks += [
            ended_as(found, self.expected),
            told(published_events, found),
            no_orphans(states, rules, self.hosts),
        ]

    async def _until(self, now: Mapping[Rule, Reasons]) -> None:
        """Wait until this is so for all hosts that are left; if it never is, the judge sees what is wrong."""
        expected = self.expected | self._for_all_hosts(now)

        async def there() -> bool:
            return ended_as(await firings(self.world.database), expected).holds

        with suppress(TimeoutError):
            await eventually(there, _PATIENCE)

    def _for_all_hosts(self, reasons: Mapping[Rule, Reasons]) -> Expected:
        return {(rule.id, host): each for rule, each in reasons.items() for host in self.hosts}

    async def _done_until_now(self) -> None:
        """Wait until all that is on the topic now is done."""
        now = (await self.world.read_group()).ends

        async def done() -> bool:
            committed = (await self.world.read_group()).committed
            return all(committed.get(partition, 0) >= end for partition, end in now.items())

        await eventually(done)

    async def _kill_if(self, wanted: bool) -> None:
        if wanted:
            await self.world.kill(self.alerting)
            await self.world.start(self.alerting)

    async def _execute(self, statement: str, *values: object) -> None:
        async with self.world.database.admin() as connection:
            await connection.execute(statement, *values)
