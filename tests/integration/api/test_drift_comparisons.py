"""Two configurations compared through the API."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from drifting import history, said
from fleet import add_host
from stack import Database

COMPARE = "/api/v1/drift/compare"
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
LEFT = said(packages={"dpkg": {"openssl": "3.0.15-1", "curl": "8.0"}}, env_vars={"LANG": "C", "API_TOKEN": "hush-1"})
RIGHT = replace(
    LEFT,
    kernel="6.1.0-20-amd64",
    packages={"dpkg": {"openssl": "3.0.16-1"}, "python:/venv": {"pip": "1"}},
    env_vars={"LANG": "C", "API_TOKEN": "hush-2"},
)
SENTENCES = [
    "the kernel changed: 6.1.0-18-amd64 to 6.1.0-20-amd64",
    "all of python:/venv came: 1 package",
    "curl (dpkg) went: 8.0",
    "openssl (dpkg) upgraded: 3.0.15-1 to 3.0.16-1",
    "API_TOKEN changed",
]


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
async def pair(world: Any, database: Database) -> Any:
    world.clock.now = at(9)
    world.ids = await history(database, "web-1", [(at(0), LEFT), (at(1), LEFT), (at(2), RIGHT)])
    await history(database, "web-2", [(at(0), RIGHT)])
    return world


async def compare(world: Any, left: str, right: str, status: int = 200, **query: Any) -> Any:
    params = {"left": left, "right": right, **query}
    answer = await world.get(COMPARE, await world.signed_in("viewer"), params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_host_is_compared_with_itself_at_another_time(pair: Any) -> None:
    found = await compare(pair, f"web-1@{text(at(1.5))}", "web-1")

    assert [one["sentence"] for one in found["differences"]] == SENTENCES
    assert found["counts"] == {"kernel": 1, "source": 1, "package": 2, "env": 1}
    assert found["equal"] is False
    assert found["left"] == {
        "id": str(pair.ids[0]),
        "host_id": "web-1",
        "timestamp": text(at(0)),
        "confirmed_at": text(at(1)),
        "until": text(at(2)),
        "time": text(at(1.5)),
        "certain": False,
    }
    assert (found["right"]["id"], found["right"]["time"]) == (str(pair.ids[2]), text(at(9)))
    assert "hush" not in str(found)


async def test_a_comparison_the_other_way_is_the_inverse(pair: Any) -> None:
    found = await compare(pair, "web-1", f"web-1@{text(at(0))}")

    assert "openssl (dpkg) downgraded: 3.0.16-1 to 3.0.15-1" in [one["sentence"] for one in found["differences"]]
    assert found["right"]["certain"] is True


async def test_hosts_with_the_same_configuration_are_equal(pair: Any) -> None:
    found = await compare(pair, "web-1", "web-2")

    assert (found["equal"], found["differences"], found["counts"]) == (True, [], {})


async def test_snapshots_are_compared_by_the_id_of_any_record(pair: Any) -> None:
    found = await compare(pair, str(pair.ids[1]), str(pair.ids[2]))

    assert [one["sentence"] for one in found["differences"]] == SENTENCES
    assert (found["left"]["id"], found["left"]["time"], found["left"]["certain"]) == (str(pair.ids[0]), None, True)


async def test_a_host_whose_id_is_a_uuid_is_a_host(world: Any, database: Database) -> None:
    host = str(uuid4())
    await history(database, host, [(START, LEFT)])

    assert (await compare(world, host, f"{host}@{text(at(1))}"))["equal"] is True


async def test_only_what_is_asked_for_is_listed_and_all_is_counted(pair: Any) -> None:
    found = await compare(pair, f"web-1@{text(at(0))}", "web-2", category=["kernel", "env"])

    assert [one["category"] for one in found["differences"]] == ["kernel", "env"]
    assert found["counts"]["package"] == 2


async def test_a_comparison_can_be_had_as_a_file(pair: Any) -> None:
    params = {"left": f"web-1@{text(at(0))}", "right": "web-2", "format": "csv"}
    answer = await pair.get(COMPARE, await pair.signed_in("viewer"), params=params)

    assert [row["sentence"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))] == SENTENCES


async def test_what_is_not_there_is_a_404_that_says_which_side_and_why(pair: Any) -> None:
    await add_host(pair, "empty")
    stranger = str(uuid4())
    for left, right, detail in (
        ("none", "web-1", "left: there is no such host."),
        ("web-1", "empty", "right: the host has no snapshot."),
        (f"web-1@{text(at(-1))}", "web-1", "left: the host has no snapshot from then or before."),
        ("web-1", stranger, "right: there is no such host and no such snapshot."),
    ):
        assert (await compare(pair, left, right, 404))["detail"] == detail


async def test_bad_sides_are_refused_by_field(world: Any) -> None:
    for left, right, field in (
        ("a b", "web-1", "left"),
        ("", "web-1", "left"),
        ("web-1", "web-1@noon", "right"),
        ("web-1", "@2026-11-22T10:00:00Z", "right"),
    ):
        assert [error["field"] for error in (await compare(world, left, right, 400))["errors"]] == [field]
