"""Ids, schedule, secrets: what the agent decides without touching anything."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_agent.domain.ids import host_id_of, uuid7
from infrawatch_agent.domain.schedule import next_tick
from infrawatch_agent.domain.secrets import looks_secret, told_variables
from infrawatch_agent.settings import parse


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
