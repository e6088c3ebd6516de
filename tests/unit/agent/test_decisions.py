"""Ids, schedule, secrets: what the agent decides without touching anything."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter

from infrawatch_agent.domain.fitting import fitting_name, fitting_table, fitting_text
from infrawatch_agent.domain.ids import host_id_of, uuid7
from infrawatch_agent.domain.pacing import Pace
from infrawatch_agent.domain.schedule import next_tick
from infrawatch_agent.domain.secrets import looks_secret, told_variables
from infrawatch_agent.records import encode
from infrawatch_agent.settings import parse
from infrawatch_common.events.records import Name, Text


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_version_7_uuid_that_begins_with_its_time(milliseconds: int, entropy: bytes) -> None:
    made = uuid7(milliseconds, entropy)
    assert (made.version, made.variant) == (7, UUID(int=0x8 << 60).variant)
    assert made.int >> 80 == milliseconds


def test_ids_of_later_records_sort_later() -> None:
    assert uuid7(1, b"\xff" * 10) < uuid7(2, b"\0" * 10)


@given(st.text(min_size=1))
def test_a_derived_host_id_is_a_valid_one_and_does_not_tell_the_machine_id(machine_id: str) -> None:
    made = host_id_of(machine_id)
    assert parse({"INFRAWATCH_HOST_ID": made}).host_id == made
    assert made == host_id_of(machine_id)


@given(st.floats(0, 1e6), st.floats(1, 3600), st.floats(0, 1e6))
def test_the_next_tick_lies_within_one_interval_ahead(start: float, interval: float, passed: float) -> None:
    now = start + passed
    tick = next_tick(start, interval, now)
    assert now - 1e-6 <= tick <= now + interval * (1 + 1e-9) + 1e-6


def test_ticks_missed_in_sleep_are_left_out() -> None:
    assert next_tick(start=0, interval=10, now=3605) == 3610


SECRETS = {
    "DB_PASSWORD": "hunter2",
    "PGPASSWORD": "x",
    "GITHUB_TOKEN": "x",
    "API_KEY": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "OF_AMAZON": "AKIAIOSFODNN7EXAMPLE",
    "URL": "postgres://app:pw@db/app",
    "PROXY": "http://me:secret@proxy:3128",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nMII",
    "BLOB": "f3b1c2d4e5a60718293a4b5c6d7e8f90",
    "HEADER": "Bearer abcdefghijk",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig",
}
PLAIN = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    "TZ": "Europe/Berlin",
    "HOSTNAME": "web-1",
    "URL": "https://example.org/path",
    "KEYBOARD": "us",
}


@pytest.mark.parametrize(("name", "value"), SECRETS.items())
def test_a_secret_leaves_the_host_as_a_digest_only(name: str, value: str) -> None:
    told = told_variables({name: value}, ["*"], b"key")
    assert told[name].startswith("hmac:")
    assert value not in told[name]


@pytest.mark.parametrize(("name", "value"), PLAIN.items())
def test_a_plain_value_is_told_as_it_is(name: str, value: str) -> None:
    assert not looks_secret(name, value)
    assert told_variables({name: value}, ["*"], b"key") == {name: value}


def test_only_whitelisted_names_are_told() -> None:
    environment = {"LANG": "C", "LC_ALL": "C", "HOME": "/root"}
    assert told_variables(environment, ["LANG", "LC_*"], b"key") == {"LANG": "C", "LC_ALL": "C"}


@given(st.text(), st.text(), st.binary(min_size=1))
def test_a_changed_secret_is_seen_and_an_unchanged_one_is_not(old: str, new: str, key: bytes) -> None:
    digests = [told_variables({"TOKEN": value}, ["*"], key)["TOKEN"] for value in (old, new)]
    assert (digests[0] == digests[1]) == (old == new)


def test_equal_secrets_of_different_names_cannot_be_told_to_be_equal() -> None:
    told = told_variables({"TOKEN": "same", "PASSWORD": "same"}, ["*"], b"key")
    assert told["TOKEN"] != told["PASSWORD"]


ODD_TEXTS = st.text(st.characters(exclude_categories=[]) | st.sampled_from("\0\ud800\udfff"), max_size=5000)


@given(st.dictionaries(ODD_TEXTS, ODD_TEXTS, max_size=5))
def test_whatever_a_host_is_called_the_contract_takes_it(table: dict[str, str]) -> None:
    contract = TypeAdapter(dict[Name, Text], config=ConfigDict(strict=True))
    contract.validate_json(encode(fitting_table(table)))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=512))
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert fitting_name(name) == name


def test_what_is_altered_shows_it_and_stays_different() -> None:
    assert fitting_text("a\0b\udc80c") == "a\ufffdb\ufffdc"
    assert fitting_name("") == "(nameless)"
    long = ["x" * 5000 + end for end in "ab"]
    cut = [fitting_text(text) for text in long]
    assert [len(text) for text in cut] == [4096, 4096]
    assert cut[0] != cut[1]
    assert cut[0][4080:-8] == "xxxxxx…#"


@given(st.floats(0.1, 1000), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2000)), max_size=50))
def test_the_backlog_goes_no_faster_than_its_rate(rate: float, steps: list[tuple[float, int]]) -> None:
    """Steps: seconds that pass, records that are there to go."""
    pace, now, sent = Pace(rate), 0.0, 0
    pace.allowance(now)
    for passed, ready in steps:
        now += passed
        gone = min(ready, pace.allowance(now))
        pace.take(gone)
        sent += gone
        assert sent <= max(1.0, rate) + now * rate + 1e-6


def test_the_wait_for_the_next_record_is_as_long_as_the_rate_says() -> None:
    pace = Pace(2.0)
    assert pace.allowance(0.0) == 1
    pace.take(1)
    assert pace.allowance(0.1) == 0
    assert pace.wait() == pytest.approx(0.4)
    assert pace.allowance(0.5) == 1
