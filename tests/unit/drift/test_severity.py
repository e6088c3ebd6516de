"""The first rule that covers a change says how much it matters; rules that cannot be meant are refused."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.alerts.rules import Severity
from infrawatch_common.drift.changes import Action, Category, Change, Direction
from infrawatch_common.drift.default_rules import DEFAULT, DEFAULT_RULES
from infrawatch_common.drift.reading_rules import RulesError, rules_from
from infrawatch_common.drift.severity import Outcome, Rule, Rules

ADDED, REMOVED, CHANGED = Action
UPGRADED, DOWNGRADED = Direction


def package(name: str, action: Action, direction: Direction | None = None, source: str = "dpkg") -> Change:
    before, after = None if action is ADDED else "1", None if action is REMOVED else "2"
    return Change(Category.PACKAGE, source, name, action, before, after, direction)


def variable(name: str) -> Change:
    return Change(Category.ENV, "", name, CHANGED, "1", "2")


def rule(**fields: Any) -> dict[str, Any]:
    return {"severity": "info", "reason": "why not"} | fields


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        (Change(Category.KERNEL, "", "kernel", CHANGED, "6.1", "6.12"), Outcome.WARNING),
        (Change(Category.OS, "", "os_info", CHANGED, "12", "13"), Outcome.WARNING),
        (Change(Category.SOURCE, "dpkg", "", REMOVED, {}, None), Outcome.WARNING),
        (Change(Category.SOURCE, "dpkg", "", ADDED, None, {}), Outcome.INFO),
        (package("openssl", CHANGED, DOWNGRADED), Outcome.CRITICAL),
        (package("openssl", CHANGED, UPGRADED), Outcome.INFO),
        (package("libc6:amd64", CHANGED, DOWNGRADED), Outcome.CRITICAL),
        (package("libssl3t64:amd64", REMOVED), Outcome.CRITICAL),
        (package("linux-image-6.1.0-18-amd64", REMOVED), Outcome.WARNING),
        (package("linux-image-amd64", CHANGED, DOWNGRADED), Outcome.CRITICAL),
        (package("ufw", REMOVED), Outcome.CRITICAL),
        (package("openssh-server", ADDED), Outcome.WARNING),
        (package("vim", CHANGED, DOWNGRADED), Outcome.WARNING),
        (package("vim", REMOVED), Outcome.INFO),
        (package("requests", CHANGED, DOWNGRADED, "python:/opt/venv"), Outcome.WARNING),
        # A Python package may be called like one of the system.
        (package("sudo", REMOVED, source="python:/opt/venv"), Outcome.INFO),
        (variable("PATH"), Outcome.WARNING),
        (variable("LANG"), Outcome.INFO),
    ],
)
def test_what_changes_matter_where_nobody_says_otherwise(change: Change, severity: Outcome) -> None:
    verdict = DEFAULT.judge(change)
    assert (verdict.severity, verdict.rule is None) == (severity, False)


def test_the_first_rule_decides_and_says_why() -> None:
    rules = rules_from(
        [
            rule(names=["vim*"], severity="ignored", reason="editors come and go"),
            rule(category="package", severity="critical", reason="nothing else may change"),
        ]
    )
    assert rules.judge(package("vim-tiny", ADDED)) == (Outcome.IGNORED, "editors come and go", 1)
    assert rules.judge(package("sudo", ADDED)) == (Outcome.CRITICAL, "nothing else may change", 2)
    assert rules.judge(variable("LANG")) == (Outcome.INFO, "no rule covers it", None)


def test_an_upgrade_is_a_change_and_a_change_without_direction_is_no_upgrade() -> None:
    changed, upgraded = rules_from([rule(what=["changed"])]), rules_from([rule(what=["upgraded"])])
    assert changed.judge(package("vim", CHANGED, UPGRADED)).rule == 1
    assert upgraded.judge(package("vim", CHANGED, UPGRADED)).rule == 1
    assert upgraded.judge(package("vim", CHANGED)).rule is None


def test_a_package_of_one_architecture_goes_by_its_name_too() -> None:
    by_name, by_both = rules_from([rule(names=["libc6"])]), rules_from([rule(names=["libc6:amd64"])])
    for rules in (by_name, by_both):
        assert rules.judge(package("libc6:amd64", CHANGED)).rule == 1
    assert by_both.judge(package("libc6:i386", CHANGED)).rule is None
    assert by_name.judge(package("libc6-dev:i386", CHANGED)).rule is None


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({}, "rules are a list"),
        (["x"], "rule 1: it is not an object"),
        (
            [rule(severity="urgent")],
            "rule 1: severity must be one of ignored, info, warning, critical, and is 'urgent'",
        ),
        ([{"reason": "why"}], "rule 1: severity must be one of ignored, info, warning, critical, and is None"),
        ([rule(reason=" ")], "rule 1: reason must say why, in words"),
        ([rule(category="disk")], "rule 1: category must be one of os, kernel, source, package, env, and is 'disk'"),
        ([rule(category=[])], "rule 1: category must be one of os, kernel, source, package, env, and is []"),
        ([rule(name="vim")], "rule 1: 'name' is no field of a rule (category, sources, names, what, severity, reason)"),
        ([rule(names="vim")], "rule 1: names must be a list of texts with something in it, or be left out"),
        ([rule(names=[])], "rule 1: names must be a list of texts with something in it, or be left out"),
        ([rule(sources=[1])], "rule 1: sources must be a list of texts with something in it, or be left out"),
        (
            [rule(what=["gone"])],
            "rule 1: 'gone' is nothing that happens (added, removed, changed, upgraded, downgraded)",
        ),
        ([rule(category="kernel", what=["downgraded"])], "rule 1: kernel is never downgraded"),
        ([rule(category="env", sources=["dpkg"])], "rule 1: env has no sources"),
        ([rule(category="os", names=["x"])], "rule 1: os has no names"),
        ([rule(), rule(names=["vim"])], "rule 2 can never decide: rule 1 covers all that it covers"),
        ([rule(names=["*"]), rule(category="env")], "rule 2 can never decide: rule 1 covers all that it covers"),
        (
            [rule(names=["a", "b"], what=["changed"]), rule(names=["b"], what=["upgraded"], category="package")],
            "rule 2 can never decide: rule 1 covers all that it covers",
        ),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_in_sentences(written: Any, problem: str) -> None:
    with pytest.raises(RulesError) as refused:
        rules_from(written)
    assert refused.value.problems == (problem,)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RulesError) as refused:
        rules_from([rule(severity=1, reason=None), rule(), rule()])
    assert [problem[:7] for problem in refused.value.problems] == ["rule 1:", "rule 1:", "rule 3 "]


def test_severities_are_called_as_those_of_alerts() -> None:
    assert [str(outcome) for outcome in Outcome] == ["ignored", *map(str, Severity)]


def test_the_default_rules_are_json() -> None:
    assert rules_from(json.loads(json.dumps(DEFAULT_RULES))).rules == DEFAULT.rules


GLOBS = st.frozensets(st.sampled_from(["*", "a*", "[ab]", "b", "?", "a:x", "dpkg"]), max_size=2)
RULES = st.builds(
    Rule,
    st.sampled_from(Outcome),
    st.just("why"),
    st.none() | st.sampled_from(Category),
    GLOBS,
    GLOBS,
    st.frozensets(st.sampled_from([*Action, *Direction]), max_size=2),
)
CHANGES = st.builds(
    Change,
    st.sampled_from(Category),
    st.sampled_from(["", "dpkg", "a", "b"]),
    st.sampled_from(["", "a", "b", "ab", "a:x", "c"]),
    st.sampled_from(Action),
    st.none(),
    st.none(),
    st.none() | st.sampled_from(Direction),
)


def covered(rule: Rule, change: Change) -> bool:
    """What the rule says, word by word."""
    names = [change.name, change.name.partition(":")[0]] if change.category is Category.PACKAGE else [change.name]
    if rule.category is not None and rule.category is not change.category:
        return False
    if rule.what and change.action not in rule.what and change.direction not in rule.what:
        return False
    if rule.sources and not any(fnmatchcase(change.source, glob) for glob in rule.sources):
        return False
    return not rule.names or any(fnmatchcase(name, glob) for name in names for glob in rule.names)


@given(st.lists(RULES, max_size=4), CHANGES)
def test_the_verdict_is_that_of_the_first_rule_that_covers_the_change(rules: list[Rule], change: Change) -> None:
    first = next((number for number, rule in enumerate(rules, 1) if covered(rule, change)), None)
    assert Rules(rules).judge(change).rule == first


@given(RULES, RULES, CHANGES)
def test_a_rule_that_is_refused_as_never_deciding_never_decides(one: Rule, other: Rule, change: Change) -> None:
    def written(rule: Rule) -> dict[str, Any]:
        lists = {"sources": rule.sources, "names": rule.names, "what": rule.what}
        whole = {name: sorted(map(str, values)) for name, values in lists.items() if values}
        return {"severity": rule.severity, "reason": rule.reason, "category": rule.category} | whole

    try:
        rules_from([written(one), written(other)])
    except RulesError as refused:
        if refused.problems[0].startswith("rule 2 can never"):
            assert Rules([one, other]).judge(change).rule != 2
