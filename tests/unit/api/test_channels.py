"""What operators say of channels: matches, bounds, changes, addresses that may be shown, secrets that may not."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infrawatch_api.contract.channels import ChannelChange, ChannelSecret, CreatedChannel, NewChannel
from infrawatch_api.contract.matches import NewEventMatch
from infrawatch_api.destinations import webhook_shown
from infrawatch_api.domain.channels import (
    Bounds,
    ChannelKind,
    Definition,
    merged,
    objections,
    strange_routes,
    trial_message,
)
from infrawatch_api.domain.matches import all_of_kinds, excess, named, strangers
from infrawatch_api.secrets import new_signing_secret
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match, Subject

START, HOUR = datetime(2026, 11, 22, 10, tzinfo=UTC), timedelta(hours=1)
BOUNDS = Bounds(routes=3, ids=2, interval=24 * HOUR)
CHANNEL = Definition("ops", (Match(),), True, timedelta(minutes=1), 4 * HOUR, True)
BODY: dict[str, Any] = {"name": "ops", "kind": "webhook", "url": "https://hooks.example.org/canary"}

names = st.sampled_from(["web-1", "web-2", "web-3"])
alert_ids = st.sampled_from([UUID(int=number) for number in range(3)])
tags = st.dictionaries(names, names, max_size=2)
matches = st.builds(
    Match,
    st.none() | st.frozensets(st.sampled_from(Severity), min_size=1),
    st.none() | st.frozensets(names, min_size=1),
    st.none() | st.frozensets(alert_ids, min_size=1),
    tags,
    st.none() | st.frozensets(st.sampled_from(Kind), min_size=1),
)
subjects = st.builds(Subject, names, tags, st.sampled_from(Severity), alert_ids) | st.builds(
    Subject, names, tags, st.sampled_from(Severity), st.none(), st.just(Kind.DRIFT)
)
ALL = {
    "every event and all drift": set(Kind),
    "every alert event": {Kind.ALERT},
    "all drift": {Kind.DRIFT},
    None: set(),
}


@given(matches, st.lists(subjects, max_size=8))
def test_of_what_a_match_takes_in_all_nothing_is_left_out(match: Match, subjects: list[Subject]) -> None:
    outsiders = {
        Kind.ALERT: Subject("elsewhere", {}, Severity.INFO, UUID(int=99)),
        Kind.DRIFT: Subject("elsewhere", {}, Severity.INFO, None, Kind.DRIFT),
    }
    whole = ALL[all_of_kinds(match)]

    for kind, outsider in outsiders.items():
        covered = [match.covers(outsider._replace(severity=severity)) for severity in Severity]
        assert all(covered) is (kind in whole)
    assert all(match.covers(subject) for subject in subjects if subject.kind in whole)


@given(matches)
def test_a_match_is_read_from_json_as_it_is_told(match: Match) -> None:
    told = json.loads(json.dumps(match.as_json()))

    assert NewEventMatch.model_validate(told).match() == match


@pytest.mark.parametrize(
    "wrong",
    [
        {"severities": []},
        {"severities": ["fatal"]},
        {"host_ids": []},
        {"host_ids": ["a b"]},
        {"host_ids": "web-1"},
        {"alert_ids": ["x"]},
        {"alert_ids": []},
        {"kinds": []},
        {"kinds": ["drift", "metrics"]},
        {"kinds": "drift"},
        {"selector": {"env": 1}},
        {"tags": {}},
    ],
)
def test_a_match_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewEventMatch.model_validate(wrong)


@given(matches, st.frozensets(names), st.frozensets(alert_ids))
def test_ids_that_nothing_has_are_named(match: Match, hosts: frozenset[str], alerts: frozenset[UUID]) -> None:
    found = strangers(match, hosts | alerts, "routes.0")

    for name, unknown in (("host_ids", hosts), ("alert_ids", alerts)):
        sentence = found.get(f"routes.0.{name}", "")
        for one in named([match], name):
            assert (str(one) in sentence) == (one in unknown)


def test_of_many_unknown_ids_some_are_named_and_the_others_counted() -> None:
    match = Match(host_ids=frozenset(f"web-{number}" for number in range(8)))

    (sentence,) = strangers(match, match.host_ids or frozenset(), "match").values()

    assert sentence == "should name what is there; there is no host web-0, web-1, web-2, web-3, web-4 and 3 more"
    assert excess(match, 7, "match") == {"match.host_ids": "should have at most 7 ids"}
    assert excess(match, 8, "match") == {}


@given(matches, st.lists(subjects, max_size=8))
def test_alerts_are_refused_where_nothing_could_be_meant(match: Match, subjects: list[Subject]) -> None:
    if excess(match, 3, "match"):
        assert list(excess(match, 3, "match")) == ["match.alert_ids"]
        assert not any(match.covers(subject) for subject in subjects)
    else:
        assert any(map(match.is_for, Kind))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, set()),
        ({"routes": ()}, set()),
        ({"routes": (Match(),) * 3}, set()),
        ({"routes": (Match(),) * 4}, {"routes"}),
        ({"routes": (Match(), Match(host_ids=frozenset("abc")))}, {"routes.1.host_ids"}),
        ({"routes": (Match(alert_ids=frozenset({uuid4(), uuid4(), uuid4()})),)}, {"routes.0.alert_ids"}),
        ({"routes": (Match(alert_ids=frozenset({uuid4()}), kinds=frozenset({Kind.DRIFT})),)}, {"routes.0.alert_ids"}),
        ({"routes": (Match(alert_ids=frozenset({uuid4()}), kinds=frozenset(Kind)),)}, set()),
        ({"group_interval": timedelta(0)}, set()),
        ({"group_interval": 25 * HOUR}, {"group_interval"}),
        ({"repeat_interval": None}, set()),
        ({"repeat_interval": timedelta(0)}, {"repeat_interval"}),
        ({"repeat_interval": 25 * HOUR}, {"repeat_interval"}),
    ],
)
def test_a_channel_is_judged_as_a_whole(change: dict[str, Any], fields: set[str]) -> None:
    assert set(objections(merged(CHANNEL, change), BOUNDS)) == fields


def test_unknown_ids_are_told_by_route() -> None:
    routes = (Match(host_ids=frozenset({"a"})), Match(host_ids=frozenset({"a", "b"})), Match())

    assert strange_routes(routes, frozenset({"b"})) == {
        "routes.1.host_ids": "should name what is there; there is no host b"
    }


def test_what_is_left_out_of_a_channel_has_a_default() -> None:
    given = NewChannel.model_validate(BODY).given()

    assert Definition(**given) == CHANNEL
    assert Definition(**given).as_json() == {
        "name": "ops",
        "routes": [{}],
        "send_resolved": True,
        "group_interval": "PT1M",
        "repeat_interval": "PT4H",
        "enabled": True,
    }


def test_absent_and_null_differ() -> None:
    assert ChannelChange.model_validate({"repeat_interval": None}).given() == {"repeat_interval": None}
    assert ChannelChange.model_validate({"routes": []}).given() == {"routes": ()}
    assert ChannelChange.model_validate({"url": "json://x"}).given() == {}
    for name in ("name", "url", "routes", "send_resolved", "group_interval", "enabled", "changed_at"):
        with pytest.raises(ValidationError):
            ChannelChange.model_validate({name: None})


@pytest.mark.parametrize("body", [{}, {"changed_at": "2026-11-22T10:00:00Z"}])
def test_a_change_of_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at least one field"):
        ChannelChange.model_validate(body)


def test_secrets_are_in_no_representation() -> None:
    answer = CreatedChannel(
        id=uuid4(),
        name="ops",
        kind=ChannelKind.WEBHOOK,
        target="https://hooks.example.org/…",
        routes=[],
        send_resolved=True,
        group_interval="PT1M",
        repeat_interval=None,
        enabled=True,
        created_at=START,
        created_by=None,
        changed_at=START,
        waiting=0,
        last_delivered_at=None,
        last_failure=None,
        signing_secret="whsec_canary",
    )
    bodies = NewChannel.model_validate(BODY), ChannelChange.model_validate({"url": "json://canary"})
    for one in (answer, ChannelSecret("whsec_canary"), *bodies):
        assert "canary" not in repr(one)
        assert "canary" not in str(one)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
        ("https://example.org/canary", "https://example.org/…"),
        ("https://example.org:8443/services/T1/canary", "https://example.org:8443/…"),
        ("https://example.org/?key=canary", "https://example.org/…"),
        ("https://[2001:db8::1]:8443/canary", "https://[2001:db8::1]:8443/…"),
    ],
)
def test_of_a_webhook_only_the_host_is_shown(url: str, shown: str) -> None:
    assert webhook_shown(url) == shown


def test_a_signing_secret_is_of_32_random_bytes() -> None:
    one, other = new_signing_secret(), new_signing_secret()

    assert one != other
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32


def test_a_test_is_a_message_like_any_other() -> None:
    message = trial_message("ops")

    assert message.keys() == {"type", "channel", "host", "late", "items", "title", "text"}
    assert (message["type"], message["channel"], message["host"], message["items"]) == ("test", "ops", None, [])
