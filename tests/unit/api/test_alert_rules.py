"""What operators say of alert rules: changes put into them, what counts as one, and what contradicts itself."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infrawatch_api.contract.alerts import AlertChange, NewAlert
from infrawatch_api.domain.alert_rules import Definition, changes, defined, merged, objections
from infrawatch_common.alerts.rules import Comparison, Metric, Severity

MONTH = timedelta(days=30)
VALID: dict[str, Any] = {
    "name": "cpu high",
    "host_id": None,
    "selector": {"env": "prod"},
    "metric": Metric.CPU,
    "comparison": Comparison.AT_LEAST,
    "threshold": 90.0,
    "clear_threshold": 80.0,
    "duration": timedelta(minutes=5),
    "severity": Severity.WARNING,
    "enabled": True,
}
RULE = Definition(**VALID)

texts = st.text(min_size=1, max_size=5)
values = st.none() | st.floats(allow_nan=False, allow_infinity=False)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "host_id": st.none() | texts,
    "selector": st.none() | st.dictionaries(texts, texts, max_size=2),
    "metric": st.sampled_from(Metric),
    "comparison": st.sampled_from(Comparison),
    "threshold": values,
    "clear_threshold": values,
    "duration": st.integers(0, 40 * 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    "severity": st.sampled_from(Severity),
    "enabled": st.booleans(),
}
definitions = st.fixed_dictionaries(FIELDS).map(defined)
patches = st.fixed_dictionaries({}, optional=FIELDS)


@given(definitions, patches)
def test_a_change_sets_what_it_names_and_nothing_else(before: Definition, patch: dict[str, Any]) -> None:
    after = merged(before, patch)

    for name in set(FIELDS) - {"selector"}:
        assert getattr(after, name) == patch.get(name, getattr(before, name))
    selector = patch.get("selector", before.selector)
    assert after.selector == (selector or (None if after.host_id is not None else selector))
    assert merged(after, patch) == after, "the same change again changes nothing"


@given(definitions, patches)
def test_what_counts_as_a_change(before: Definition, patch: dict[str, Any]) -> None:
    after = merged(before, patch)
    found = changes(before.as_json(), after.as_json())

    assert (found == {}) == (before == after)
    assert set(found) <= set(patch) | {"selector"}
    for name, change in found.items():
        assert change == {"before": before.as_json()[name], "after": after.as_json()[name]}
        assert change["before"] != change["after"]


@given(definitions)
def test_a_rule_is_json_that_can_be_read_again(rule: Definition) -> None:
    plain = json.loads(json.dumps(rule.as_json()))

    assert plain == rule.as_json()
    assert changes(plain, rule.as_json()) == {}


def test_only_what_can_be_empty_takes_null() -> None:
    takes_null = {"host_id", "selector", "threshold", "clear_threshold"}
    for name in FIELDS:
        if name in takes_null:
            assert AlertChange.model_validate({name: None}).given() == {name: None}
        else:
            with pytest.raises(ValidationError) as caught:
                AlertChange.model_validate({name: None})
            assert caught.value.errors()[0]["loc"] == (name,)


def test_absent_and_null_differ() -> None:
    change = AlertChange.model_validate({"clear_threshold": None, "enabled": False, "version": 4})

    assert change.given() == {"clear_threshold": None, "enabled": False}
    assert change.expected_version() == 4
    assert AlertChange.model_validate({"enabled": False}).expected_version() is None


@pytest.mark.parametrize("body", [{}, {"version": 1}])
def test_a_change_of_nothing_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="at least one field"):
        AlertChange.model_validate(body)


HEARTBEAT = {"metric": Metric.HEARTBEAT, "threshold": None, "clear_threshold": None}


@pytest.mark.parametrize(
    ("patch", "fields"),
    [
        ({}, set()),
        ({"selector": {}}, set()),
        ({"host_id": "web-1", "selector": None}, set()),
        ({"host_id": "web-1", "selector": {}}, set()),
        ({"host_id": "web-1"}, {"selector"}),
        ({"selector": None}, {"selector"}),
        ({"threshold": None}, {"threshold"}),
        ({"threshold": 70.0}, {"clear_threshold"}),
        ({"comparison": Comparison.BELOW}, {"clear_threshold"}),
        ({"clear_threshold": None}, set()),
        (HEARTBEAT, set()),
        (HEARTBEAT | {"duration": timedelta(0)}, {"duration"}),
        ({"duration": timedelta(0)}, set()),
        ({"metric": Metric.HEARTBEAT}, {"threshold", "clear_threshold"}),
        ({"duration": MONTH}, set()),
        ({"duration": MONTH + timedelta(seconds=1)}, {"duration"}),
        ({"duration": 2 * MONTH, "threshold": None, "selector": None}, {"duration", "threshold", "selector"}),
    ],
)
def test_a_rule_is_judged_as_a_whole(patch: dict[str, Any], fields: set[str]) -> None:
    assert set(objections(merged(RULE, patch), MONTH)) == fields


def test_a_rule_on_a_host_made_one_for_all_needs_a_selector() -> None:
    rule = defined(VALID | {"host_id": "web-1", "selector": None})

    assert set(objections(merged(rule, {"host_id": None}), MONTH)) == {"selector"}
    assert objections(merged(rule, {"host_id": None, "selector": {}}), MONTH) == {}


BODY = {"name": "x", "metric": "cpu", "threshold": 1, "selector": {}}


@pytest.mark.parametrize("duration", ["PT5M", "5m", "300", 300, 300.0])
def test_durations_are_taken_in_any_form(duration: object) -> None:
    assert NewAlert.model_validate(BODY | {"duration": duration}).duration == timedelta(minutes=5)


@pytest.mark.parametrize(
    "duration", ["", "soon", "PT", "-PT5M", "PT0.5S", "00:05:00", -1, 0.5, True, None, [], {}, 10**400, 1e300, "9" * 30]
)
def test_what_is_no_duration_is_refused_in_one_sentence(duration: object) -> None:
    with pytest.raises(ValidationError) as caught:
        NewAlert.model_validate(BODY | {"duration": duration})
    error = caught.value.errors()[0]
    assert (error["loc"], "ISO 8601" in error["msg"]) == (("duration",), True)
