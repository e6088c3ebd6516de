"""What is said of drift: how much changed, the worst first, and when; beside alerts and without."""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain.message import Mood, mood_of, title_and_text
from infrawatch_alerting.domain.notices import Channel, What
from infrawatch_alerting.store_notices import HostFacts
from infrawatch_alerting.telling import compose

HOST = {"id": "host-a", "name": "web-1", "tags": {}}
NOW = datetime(2026, 11, 27, 3, 10, 7, tzinfo=UTC)


def change(severity: str = "critical", sentence: str = "the kernel changed: 6.1 to 6.2") -> dict[str, Any]:
    return {
        "id": "01890000-0000-7000-8000-000000000003",
        "category": "kernel",
        "source": "",
        "name": "kernel",
        "action": "changed",
        "direction": None,
        "before": "6.1",
        "after": "6.2",
        "severity": severity,
        "reason": "a kernel",
        "sentence": sentence,
    }


CHANGES = [
    change("critical", "openssl (dpkg) downgraded: 3.0.15-1 to 3.0.11-1"),
    change("warning", "the kernel changed: 6.1 to 6.2"),
    change("info", "LANG changed: C to C.UTF-8"),
]


def drift(*changes: dict[str, Any], more: int = 0, **fields: Any) -> dict[str, Any]:
    """What one snapshot shows; ``more`` changes of severity info are not among those that are listed."""
    listed = list(changes) or CHANGES
    counts = {"critical": 0, "warning": 0, "info": more}
    for one in listed:
        counts[one["severity"]] += 1
    event = {
        "kind": "drift",
        "id": "01890000-0000-7000-8000-000000000001",
        "host_id": "host-a",
        "snapshot_id": "01890000-0000-7000-8000-000000000002",
        "not_before": "2026-11-27T03:50:00.5+01:00",
        "at": "2026-11-27T03:00:00+00:00",
        "found_at": "2026-11-27T03:00:01+00:00",
        "late": False,
        "severity": listed[0]["severity"],
        "counts": counts,
        "changes": listed,
    }
    return {"what": "changed", "event": event | fields}


def alert(what: str = "fired", severity: str = "critical", name: str = "CPU high") -> dict[str, Any]:
    event = {
        "name": name,
        "metric": "cpu",
        "comparison": ">=",
        "threshold": 90.0,
        "severity": severity,
        "since": "2026-11-27T03:00:00+00:00",
        "fired_at": "2026-11-27T03:05:00+00:00",
        "value": 97.0,
        "late": False,
    }
    ended = {"resolved_at": "2026-11-27T03:09:00+00:00", "resolved_value": None, "resolved_reason": "cleared"}
    return {"what": what, "event": event | (ended if what == "resolved" else {})}


def said(*items: dict[str, Any], late: bool = False) -> tuple[str, list[str]]:
    title, text = title_and_text(HOST, items, late=late, now=NOW)
    return title, text.splitlines()


def test_what_changed() -> None:
    title, lines = said(drift())
    assert title == "[critical] 3 changes on web-1 (host-a)"
    assert lines == [
        "Host: web-1 (host-a)",
        "",
        "critical: 3 changes (1 critical, 1 warning, 1 info)",
        "  critical: openssl (dpkg) downgraded: 3.0.15-1 to 3.0.11-1",
        "  warning: the kernel changed: 6.1 to 6.2",
        "  info: LANG changed: C to C.UTF-8",
        "  between 2026-11-27T02:50:00Z and 2026-11-27T03:00:00Z",
    ]


def test_a_single_change_is_no_plural() -> None:
    title, lines = said(drift(change("warning")))
    assert title == "[warning] 1 change on web-1 (host-a)"
    assert lines[2:4] == ["warning: 1 change", "  warning: the kernel changed: 6.1 to 6.2"]


def test_what_is_not_listed_is_counted() -> None:
    title, lines = said(drift(more=1497))
    assert title == "[critical] 1500 changes on web-1 (host-a)"
    assert lines[2] == "critical: 1500 changes (1 critical, 1 warning, 1498 info)"
    assert lines[6] == "  and 1497 more"


def test_late_is_said() -> None:
    title, lines = said(drift(late=True), late=True)
    assert title == "[critical, late] 3 changes on web-1 (host-a)"
    assert lines[-2].endswith("2026-11-27T03:00:00Z (found late)")
    assert lines[-1].startswith("Found late: ")


@pytest.mark.parametrize(
    ("items", "title"),
    [
        ([drift(), drift(change("info"))], "[critical] 4 changes on web-1 (host-a)"),
        ([drift(), alert()], "[critical] CPU high on web-1 (host-a) and 3 changes"),
        ([drift(), alert(), alert()], "[critical] CPU high on web-1 (host-a) and 1 more and 3 changes"),
        ([alert(severity="warning"), drift()], "[critical] 3 changes on web-1 (host-a) and 1 alert"),
        ([alert("resolved"), drift(change("info"))], "[info] 1 change on web-1 (host-a) and 1 alert"),
    ],
)
def test_beside_alerts_the_worst_gives_the_title_and_the_rest_is_counted(
    items: list[dict[str, Any]], title: str
) -> None:
    assert said(*items)[0] == title


def test_beside_alerts_the_worst_comes_first_an_alert_before_drift_and_what_ended_last() -> None:
    _, lines = said(alert("resolved", name="over"), drift(), drift(change("info")), alert(), alert(severity="warning"))
    heads = [line for line in lines if line[:1] not in ("", " ", "H")]
    assert heads == [
        "critical: CPU high, fired",
        "critical: 3 changes (1 critical, 1 warning, 1 info)",
        "warning: CPU high, fired",
        "info: 1 change",
        "critical: over, resolved",
    ]


@pytest.mark.parametrize("number", [1, 2, 5, 20, 40])
def test_a_message_has_a_length_that_can_be_read(number: int) -> None:
    many = [change("info") for _ in range(20)]
    title, lines = said(*(drift(*many, more=100) for _ in range(number)))
    assert title == f"[info] {120 * number} changes on web-1 (host-a)"
    assert sum("the kernel" in line for line in lines) <= 20
    assert len(lines) <= 1 + 20 * 4 + 20 + 1
    assert (lines[-1] == "and 20 more") is (number == 40)


@given(st.text(), st.sampled_from(["critical", "info"]))
def test_what_agents_wrote_stays_on_its_line(sentence: str, severity: str) -> None:
    _, text = title_and_text(HOST, [drift(change(severity, sentence))], late=False, now=NOW)
    assert len(text.splitlines()) == 5
    for one in text.replace("\n", ""):
        assert unicodedata.category(one) not in ("Cc", "Zl", "Zp", "Cs")
    text.encode()


@pytest.mark.parametrize("text", ["{{7*7}} came: {0.__class__}", "%n %s", "<b>x</b>", "<!channel>", "ünïcode 世界"])
def test_what_agents_wrote_is_literal(text: str) -> None:
    assert f"  critical: {text}" in said(drift(change("critical", text)))[1]


@pytest.mark.parametrize(
    ("items", "mood"),
    [
        ([drift()], Mood.BAD),
        ([drift(change("warning")), alert("resolved")], Mood.WARNING),
        ([drift(change("info"))], Mood.INFO),
        ([drift(change("info")), alert(severity="warning")], Mood.WARNING),
    ],
)
def test_the_mood_is_that_of_the_worst(items: list[dict[str, Any]], mood: Mood) -> None:
    assert mood_of(items) is mood


@pytest.mark.parametrize(
    ("items", "kind", "late"),
    [
        ([drift()], "drift", False),
        ([drift(late=True), drift()], "drift", True),
        ([drift(), alert()], "alert", False),
        ([alert(), drift(late=True)], "alert", True),
        ([alert()], "alert", False),
    ],
)
def test_a_message_is_of_drift_when_it_tells_of_nothing_else(
    items: list[dict[str, Any]], kind: str, *, late: bool
) -> None:
    channel = Channel(uuid4(), "mail", (), True, timedelta(0), None)
    told = [(What(item["what"]), item["event"]) for item in items]
    message = compose(channel, HostFacts("host-a", "web-1", {}), told, NOW)
    assert (message["type"], message["late"], message["items"]) == (kind, late, items)
