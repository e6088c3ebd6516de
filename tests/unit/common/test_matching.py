"""What matches mean: of stored ones from before there was drift, and of alerts and drift apart."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.alerts.rules import Severity
from infrawatch_common.drift.notice_ids import drift_notice_id
from infrawatch_common.notices.matching import Kind, Match, Subject

RULE = UUID(int=1)
ALERT = Subject("web-1", {"env": "prod"}, Severity.WARNING, RULE)
DRIFT = Subject("web-1", {"env": "prod"}, Severity.WARNING, None, Kind.DRIFT)


@pytest.mark.parametrize(
    ("stored", "covers_alert", "covers_drift"),
    [
        ({}, True, True),
        ({"severities": ["warning"], "host_ids": ["web-1"], "selector": {"env": "prod"}}, True, True),
        ({"severities": ["critical"]}, False, False),
        ({"alert_ids": [str(RULE)]}, True, False),
        ({"kinds": ["alert"]}, True, False),
        ({"kinds": ["drift"]}, False, True),
        ({"kinds": ["alert", "drift"], "alert_ids": [str(RULE)]}, True, False),
        ({"kinds": ["drift"], "host_ids": ["web-2"]}, False, False),
    ],
)
def test_a_stored_match_means_what_it_says(stored: dict[str, Any], *, covers_alert: bool, covers_drift: bool) -> None:
    match = Match.from_json(stored)
    assert (match.covers(ALERT), match.covers(DRIFT)) == (covers_alert, covers_drift)
    assert match.as_json() == stored


MATCHES = st.builds(
    Match,
    st.none() | st.frozensets(st.sampled_from(Severity)),
    st.none() | st.frozensets(st.sampled_from(["web-1", "web-2"])),
    st.none() | st.frozensets(st.sampled_from([RULE, UUID(int=2)])),
    st.dictionaries(st.sampled_from(["env", "role"]), st.sampled_from(["prod", "web"])),
    st.none() | st.frozensets(st.sampled_from(Kind)),
)


@given(MATCHES)
def test_what_is_stored_is_what_was_said(match: Match) -> None:
    assert Match.from_json(json.loads(json.dumps(match.as_json()))) == match


@given(MATCHES)
def test_a_match_covers_nothing_of_a_kind_that_it_is_not_for(match: Match) -> None:
    for subject in (ALERT, DRIFT):
        assert match.is_for(subject.kind) or not match.covers(subject)
    unbound = match._replace(alert_ids=None, kinds=None)
    assert unbound.covers(ALERT) == unbound.covers(DRIFT)


def test_drift_of_a_snapshot_is_always_told_under_the_same_id() -> None:
    # It is in messages that were sent: another way of making it would tell, and find, old drift anew.
    assert drift_notice_id(UUID(int=5)) == UUID("6d1c82e4-02ad-517e-ab68-55abd784f386")


@pytest.mark.parametrize(
    ("match", "kinds"),
    [
        (Match(), set(Kind)),
        (Match(alert_ids=frozenset({RULE})), {Kind.ALERT}),
        (Match(kinds=frozenset({Kind.DRIFT})), {Kind.DRIFT}),
        (Match(alert_ids=frozenset({RULE}), kinds=frozenset({Kind.DRIFT})), set()),
    ],
)
def test_what_names_rules_is_for_no_drift(match: Match, kinds: set[Kind]) -> None:
    assert set(filter(match.is_for, Kind)) == kinds
