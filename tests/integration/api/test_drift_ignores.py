"""Ignore rules through the API: what they hide, what they would, and what is shown again."""

import asyncio
import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alert_rules import fields_of
from fleet import add_change, add_host
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.ignoring import IGNORES_LOCK, Ignore, covers, first_covering, like_pattern
from stack import eventually

IGNORES = "/api/v1/drift/ignores"
DAY = timedelta(days=1)
_LETTERS = "ab%_\\[]:é€\n"


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def create(self, **fields: Any) -> Any:
        return await self.world.post(IGNORES, self.token, json={"reason": "noise", **fields})

    async def created(self, **fields: Any) -> Any:
        answer = await self.create(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def delete(self, rule: Any) -> None:
        answer = await self.world.call("DELETE", f"{IGNORES}/{rule['id']}", self.token)
        assert answer.status_code == 204, answer.text

    async def preview(self, scope: Any, **query: Any) -> Any:
        answer = await self.world.post(f"{IGNORES}/preview", self.token, json=scope, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def hidden(self) -> dict[str, str]:
        """What hides each change that is hidden by a rule, by its name."""
        rows = await self.world.admin.fetch("SELECT name, ignored_by, hidden FROM drift_changes WHERE hidden")
        return {row["name"]: str(row["ignored_by"]) for row in rows}


@pytest.fixture
async def operator(world: Any) -> Operator:
    email = await world.add_user("operator")
    return Operator(world, email, await world.session(email))


async def test_a_rule_hides_what_it_covers_and_what_was_there_before(operator: Operator) -> None:
    world = operator.world
    await add_host(world, "web-1", tags={"env": "prod"})
    await add_host(world, "web-2", tags={"env": "dev"})
    await add_change(world, "web-1", "linux-image-6.1")
    await add_change(world, "web-1", "linux-libc")
    await add_change(world, "web-1", "linux-image-amd64", source="rpm")
    await add_change(world, "web-2", "linux-image-6.2")
    await add_change(world, "gone", "linux-image-6.3")

    rule = await operator.created(
        category="package", sources=["dpkg"], names=["linux-image-*", "x?"], selector={"env": "prod"}
    )

    assert rule == {
        "id": rule["id"],
        "category": "package",
        "sources": ["dpkg"],
        "names": ["linux-image-*", "x?"],
        "selector": {"env": "prod"},
        "reason": "noise",
        "created_at": world.clock.now.isoformat().replace("+00:00", "Z"),
        "created_by": operator.email,
        "changes": 1,
    }
    assert await operator.hidden() == {"linux-image-6.1": rule["id"]}
    listed = (await world.get(IGNORES, operator.token)).json()["items"]
    assert listed == [{name: value for name, value in rule.items() if name != "changes"}]
    [entry] = await world.audit("drift_ignore.created")
    assert json.loads(entry["detail"])["changes"] == 1


async def test_what_a_deleted_rule_hid_is_shown_unless_another_rule_covers_it(operator: Operator) -> None:
    world = operator.world
    await add_host(world, "web-1", tags={"env": "prod"})
    for name in ("a1", "a2", "b1", "c1"):
        await add_change(world, "web-1", name)
        await add_change(world, "web-1", name, before="2", after="1")
    first = await operator.created(names=["a*", "b*"])
    second = await operator.created(names=["a2"], selector={"env": "dev"})
    third = await operator.created(names=["a?"], selector={"env": "prod"})
    fourth = await operator.created(names=["*2", "c*"])
    assert [rule["changes"] for rule in (first, second, third, fourth)] == [6, 0, 0, 2]

    await operator.delete(first)
    assert await operator.hidden() == {"a1": third["id"], "a2": third["id"], "c1": fourth["id"]}
    await operator.delete(third)
    assert await operator.hidden() == {"a2": fourth["id"], "c1": fourth["id"]}
    for rule in (second, fourth):
        await operator.delete(rule)

    assert await operator.hidden() == {}
    assert (await world.call("DELETE", f"{IGNORES}/{fourth['id']}", operator.token)).status_code == 404
    assert len(await world.audit("drift_ignore.deleted")) == 4


async def test_rules_count_in_the_order_of_their_creation_whichever_clock_is_ahead(operator: Operator) -> None:
    first = await operator.created(names=["a"])
    operator.world.clock.advance(-60)
    second = await operator.created(names=["b"])

    listed = (await operator.world.get(IGNORES, operator.token)).json()["items"]
    assert [rule["id"] for rule in listed] == [second["id"], first["id"]]


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"reason": " "}, ["reason"]),
    ({"reason": None}, ["reason"]),
    ({"category": "packages"}, ["category"]),
    ({"names": [""]}, ["names.0"]),
    ({"names": ["a\0"]}, ["names.0"]),
    ({"names": "a*"}, ["names"]),
    ({"category": "env", "sources": ["dpkg"]}, ["sources"]),
    ({"category": "kernel", "names": ["6*"]}, ["names"]),
    ({"selector": {"": "x"}}, ["selector..[key]"]),
    ({"everything": 1}, ["everything"]),
    ({"ignored": True}, ["ignored"]),
    ({}, ["everything"]),
    ({"names": ["a", "**"], "sources": ["*"]}, ["everything"]),
]


async def test_a_rule_that_cannot_be_meant_is_refused(operator: Operator) -> None:
    for fields, wrong in BAD:
        assert fields_of(await operator.create(**fields)) == wrong, fields

    assert (await operator.created(everything=True))["changes"] == 0


async def test_there_are_bounds_to_rules(make_world: Any) -> None:
    world = await make_world(drift_ignores_max=2, drift_ignore_globs_max=2, drift_ignore_preview_days=7)
    operator = Operator(world, email := await world.add_user("operator"), await world.session(email))

    answers = await asyncio.gather(*(operator.create(names=["a"]) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "INFRAWATCH_DRIFT_IGNORES_MAX" in refused.json()["detail"]
    assert fields_of(await operator.create(names=["a", "b", "c"])) == ["names"]
    for days, status in ((7, 200), (8, 400), (0, 400)):
        answer = await world.post(f"{IGNORES}/preview?days={days}", operator.token, json={})
        assert answer.status_code == status
    assert (await world.post(f"{IGNORES}/preview", operator.token, json={})).status_code == 200


async def test_rules_are_listed_in_pages_newest_first(operator: Operator) -> None:
    made = [(await operator.created(names=[str(number)]))["id"] for number in range(3)]

    first = (await operator.world.get(f"{IGNORES}?limit=2", operator.token)).json()
    second = (await operator.world.get(f"{IGNORES}?limit=2&cursor={first['next_cursor']}", operator.token)).json()

    assert [rule["id"] for rule in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_a_preview_tells_what_a_rule_would_have_hidden_and_what_it_leaves(operator: Operator) -> None:
    world, now = operator.world, operator.world.clock.now
    for number in range(3):
        for hours in range(number + 1):
            await add_change(world, f"web-{number}", "tzdata", at=now - timedelta(hours=hours))
    await add_change(world, "web-2", "tz-helper", at=now - 29 * DAY)
    await add_change(world, "web-2", "tz-old", at=now - 31 * DAY)
    await add_change(world, "web-2", "tz-hidden", severity="ignored")
    secret = await add_change(world, "web-2", "TZ_TOKEN", "hunter2", "hunter3", category="env")
    await add_change(world, "web-0", "bash")

    seen = await operator.preview({"names": ["tz*"]})

    assert (seen["everything"], seen["changes"], seen["left"]) == (False, 7, 2)
    assert seen["since"] == (now - 30 * DAY).isoformat().replace("+00:00", "Z")
    assert [(host["host_id"], host["changes"]) for host in seen["hosts"]] == [("web-2", 4), ("web-1", 2), ("web-0", 1)]
    tzdata, helper = seen["subjects"]
    assert tzdata == {"category": "package", "source": "dpkg", "name": "tzdata", "changes": 6, "hosts": 3}
    assert (helper["name"], helper["changes"], helper["hosts"]) == ("tz-helper", 1, 1)
    assert (seen["host_count"], seen["subject_count"]) == (3, 2)
    times = [example["at"] for example in seen["examples"]]
    assert (len(times), times) == (7, sorted(times, reverse=True))
    assert seen["examples"][-1]["sentence"] == "tz-helper (dpkg) changed: 1 to 2"

    bounded = await operator.preview({"names": ["tz*"]}, limit=1, days=1)
    assert (bounded["changes"], bounded["left"], bounded["host_count"], bounded["subject_count"]) == (6, 2, 3, 1)
    assert [len(bounded[name]) for name in ("hosts", "subjects", "examples")] == [1, 1, 1]
    everything = await operator.preview({"everything": True})
    assert (everything["everything"], everything["changes"], everything["left"]) == (True, 9, 0)
    [shown] = [example for example in everything["examples"] if example["id"] == secret]
    assert shown["sentence"] == "TZ_TOKEN changed"
    assert await operator.hidden() == {"tz-hidden": "None"}


async def test_what_a_rule_hides_is_what_its_preview_said(operator: Operator) -> None:
    await add_change(operator.world, "web-1", "a")
    await add_change(operator.world, "web-1", "b")
    scope = {"names": ["?"], "sources": ["d*"]}

    seen = await operator.preview(scope)

    assert (await operator.created(**scope))["changes"] == seen["changes"] == 2
    again = await operator.preview(scope)
    assert (again["changes"], again["left"], again["hosts"], again["subjects"]) == (0, 0, [], [])


HOSTS: dict[str, dict[str, str]] = {"a": {"env": "x"}, "b": {"env": "x", "role": "y"}, "c": {}}
Changed = tuple[UUID, Key, dict[str, str]]  # id, what it is about, tags of the host


async def random_changes(world: Any, rng: random.Random) -> list[Changed]:
    changes = []
    for _ in range(80):
        category = rng.choice(list(Category))
        source = rng.choice(["dpkg", "python:/a", "a_b"]) if category in {Category.PACKAGE, Category.SOURCE} else ""
        name = "" if category is Category.SOURCE else "".join(rng.choices("ab:_%", k=rng.randrange(1, 4)))
        host = rng.choice([*HOSTS, "gone"])
        change = await add_change(world, host, name, category=category, source=source)
        changes.append((UUID(change), Key(category, source, name), HOSTS.get(host, {})))
    return changes


def random_scope(rng: random.Random) -> dict[str, Any]:
    def globs(letters: str) -> list[str]:
        return ["".join(rng.choices(letters, k=rng.randrange(1, 4))) for _ in range(rng.choice([0, 0, 1, 2]))]

    category = rng.choice([None, None, "package", "source"])
    return {
        "category": category,
        "sources": globs("dpk*?_"),
        "names": globs("ab:_%*?") if category != "source" else [],
        "selector": rng.choice([{}, {"env": "x"}, {"env": "x", "role": "y"}]),
    }


def rule_of(scope: dict[str, Any]) -> Ignore:
    category = Category(scope["category"]) if scope["category"] else None
    return Ignore(uuid4(), category, tuple(scope["sources"]), tuple(scope["names"]), scope["selector"])


async def test_the_database_covers_what_the_drift_service_covers(operator: Operator) -> None:
    rng = random.Random(5)
    for host, tags in HOSTS.items():
        await add_host(operator.world, host, tags=tags)
    changes = await random_changes(operator.world, rng)
    rules: list[tuple[Ignore, Any]] = []
    for _ in range(60):
        scope = random_scope(rng)
        rule = rule_of(scope)
        shown = [one for one in changes if first_covering([made for made, _ in rules], *one[1:]) is None]
        covered = sum(covers(rule, key, tags) for _, key, tags in shown)
        seen = await operator.preview(scope)
        assert (seen["changes"], seen["left"]) == (covered, len(shown) - covered), scope
        if rng.random() < 0.3:
            created = await operator.created(**scope, everything=True)
            assert created["changes"] == covered
            rules.append((rule._replace(id=UUID(created["id"])), created))
    for number in range(len(rules) // 2):
        await operator.delete(rules.pop(number)[1])

    rows = await operator.world.admin.fetch("SELECT id, ignored_by FROM drift_changes")
    hidden_by = {row["id"]: row["ignored_by"] for row in rows}
    for change_id, key, tags in changes:
        first = first_covering([rule for rule, _ in rules], key, tags)
        assert hidden_by[change_id] == (first.id if first is not None else None), (key, tags)
    assert sum(one is not None for one in hidden_by.values()) > 5


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(_LETTERS + "*?", min_size=1, max_size=6), st.text(_LETTERS, max_size=6)),
        min_size=200,
        max_size=200,
    )
)
async def test_like_matches_what_a_glob_matches(world: Any, pairs: list[tuple[str, str]]) -> None:
    rows = await world.admin.fetch(
        "SELECT text LIKE pattern FROM unnest($1::text[], $2::text[]) AS pair (pattern, text)",
        [like_pattern(glob) for glob, _ in pairs],
        [text for _, text in pairs],
    )

    for (glob, text), [matched] in zip(pairs, rows, strict=True):
        rule = Ignore(UUID(int=0), None, (), (glob,), {})
        assert covers(rule, Key(Category.ENV, "", text), {}) == matched, (glob, text)


_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
               WHERE NOT granted AND locktype = 'advisory' AND datname = current_database())
"""


async def test_a_rule_waits_for_writers_that_do_not_know_it_and_hides_what_they_wrote(operator: Operator) -> None:
    world = operator.world
    async with world.admin.transaction():
        await world.admin.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", IGNORES_LOCK)
        creating = asyncio.create_task(operator.created(names=["late"]))
        await eventually(lambda: world.admin.fetchval(_WAITS))
        await add_change(world, "web-1", "late")

    assert (await creating)["changes"] == 1
