import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain.message import _REASONS, Mood, mood_of, title_and_text
from infrawatch_alerting.domain.words import plain
from infrawatch_common.alerts.engine import Ended

HOST = {"id": "host-abc", "name": "web 1", "tags": {}}
NOW = datetime(2026, 11, 27, 3, 10, 7, tzinfo=UTC)


def item(what: str = "fired", **changes: Any) -> dict[str, Any]:
    event = {
        "event": "fired",
        "id": "01890000-0000-7000-8000-000000000001",
        "alert_id": "01890000-0000-7000-8000-000000000002",
        "version": 1,
        "host_id": "host-abc",
        "name": "CPU high",
        "metric": "cpu",
        "comparison": ">=",
        "threshold": 90.0,
        "severity": "critical",
        "since": "2026-11-27T03:00:00+00:00",
        "fired_at": "2026-11-27T04:05:00.123000+01:00",
        "value": 97.456,
        "found_at": "2026-11-27T03:05:01+00:00",
        "late": False,
    }
    return {"what": what, "event": event | changes}


RESOLVED: dict[str, Any] = {
    "event": "resolved",
    "resolved_at": "2026-11-27T03:09:05+00:00",
    "resolved_value": 40.0,
    "resolved_reason": "cleared",
}


def test_what_fires() -> None:
    title, text = title_and_text(HOST, [item()], late=False, now=NOW)
    assert title == "[critical] CPU high on web 1 (host-abc)"
    assert text.splitlines() == [
        "Host: web 1 (host-abc)",
        "",
        "critical: CPU high, fired",
        "  CPU 97.46 % (fires >= 90 %)",
        "  since 2026-11-27T03:00:00Z, fired at 2026-11-27T03:05:00Z",
        "  for 10 min 7 s when this was written",
    ]


def test_what_has_ended() -> None:
    title, text = title_and_text(HOST, [item("resolved", **RESOLVED)], late=False, now=NOW)
    assert title == "[resolved] CPU high on web 1 (host-abc)"
    assert text.splitlines()[2:] == [
        "critical: CPU high, resolved",
        "  CPU 97.46 % (fires >= 90 %)",
        "  since 2026-11-27T03:00:00Z, fired at 2026-11-27T03:05:00Z",
        "  resolved at 2026-11-27T03:09:05Z after 9 min 5 s: it is back to normal (CPU 40 %)",
    ]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("heard", "samples arrive again"),
        ("rule_deleted", "its rule was deleted"),
        ("host_not_selected", "its rule is no longer for this host"),
        ("something_new", "something new"),
    ],
)
def test_why_it_has_ended(reason: str, words: str) -> None:
    ended = RESOLVED | {"resolved_reason": reason, "resolved_value": None}
    _, text = title_and_text(HOST, [item("resolved", **ended)], late=False, now=NOW)
    assert text.endswith(f"after 9 min 5 s: {words}")


def test_every_reason_has_words_of_its_own() -> None:
    assert set(_REASONS) == set(Ended)


@pytest.mark.parametrize(
    ("what", "words"), [("still_firing", "still firing"), ("no_longer_silenced", "firing, no longer silenced")]
)
def test_what_fires_on(what: str, words: str) -> None:
    _, text = title_and_text(HOST, [item(what)], late=False, now=NOW)
    assert f"critical: CPU high, {words}" in text
    assert "for 10 min 7 s when this was written" in text


def test_what_was_over_before_it_could_be_told() -> None:
    _, text = title_and_text(HOST, [item("fired", **RESOLVED)], late=False, now=NOW)
    assert "critical: CPU high, fired" in text
    assert "resolved at 2026-11-27T03:09:05Z" in text
    assert "when this was written" not in text


def test_a_silent_host() -> None:
    silent = item(metric="heartbeat", value=None, threshold=None, name="silent")
    _, text = title_and_text(HOST, [silent], late=False, now=NOW)
    assert "  no sample arrives" in text.splitlines()


def test_uptime_is_in_seconds() -> None:
    _, text = title_and_text(
        HOST, [item(metric="uptime", comparison="<", threshold=1e6, value=12.0)], late=False, now=NOW
    )
    assert "  uptime 12 s (fires < 1000000 s)" in text.splitlines()


def test_late_is_said() -> None:
    title, text = title_and_text(HOST, [item(late=True)], late=True, now=NOW)
    assert title == "[critical, late] CPU high on web 1 (host-abc)"
    assert "(found late)" in text
    assert "Found late" in text


def test_the_worst_comes_first_and_what_ended_last() -> None:
    items = [
        item("resolved", name="a", **RESOLVED),
        item(name="b", severity="info"),
        item(name="c", severity="critical"),
        item(name="d", severity="warning"),
    ]
    title, text = title_and_text(HOST, items, late=False, now=NOW)
    assert title == "[critical] c on web 1 (host-abc) and 3 more"
    assert [line.partition(",")[0] for line in text.splitlines() if ": " in line and line[0] != " "] == [
        "Host: web 1 (host-abc)",
        "critical: c",
        "warning: d",
        "info: b",
        "critical: a",
    ]


def test_a_great_many_are_counted() -> None:
    _, text = title_and_text(HOST, [item() for _ in range(25)], late=False, now=NOW)
    assert text.count("CPU high") == 20
    assert text.splitlines()[-1] == "and 5 more"


def test_a_host_without_a_name_of_its_own() -> None:
    assert title_and_text({"id": "h"}, [item()], late=False, now=NOW)[0].endswith(" on h")
    assert title_and_text({"id": "h", "name": "h"}, [item()], late=False, now=NOW)[0].endswith(" on h")


@given(st.text(), st.text(), st.text())
def test_what_others_named_stays_on_its_line(identifier: str, name: str, rule: str) -> None:
    title, text = title_and_text({"id": identifier, "name": name}, [item(name=rule)], late=False, now=NOW)
    assert len(title.splitlines()) == 1
    assert len(text.splitlines()) == 6
    for one in title + text.replace("\n", ""):
        assert unicodedata.category(one) not in ("Cc", "Zl", "Zp", "Cs")
    title.encode()
    text.encode()


@pytest.mark.parametrize("text", ["{{7*7}}", "{0.__class__}", "%n %s", "<b>x</b>", "<!channel>", "*a*", "ünïcode 世界"])
def test_what_others_named_is_literal(text: str) -> None:
    title, body = title_and_text({"id": "h", "name": text}, [item(name=text)], late=False, now=NOW)
    assert title == f"[critical] {text} on {text} (h)"
    assert f"critical: {text}, fired" in body


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("a\r\nBcc: x", "a Bcc: x"),
        ("a\x00\x1b[31mb", "a [31mb"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u200bb\ufeff", "a b"),
        ("\ud800", ""),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_what_cannot_be_seen_is_left_out(foreign: str, shown: str) -> None:
    assert plain(foreign) == shown


@pytest.mark.parametrize(
    ("items", "mood"),
    [
        ([item()], Mood.BAD),
        ([item(severity="warning"), item(severity="info")], Mood.WARNING),
        ([item(severity="info"), item("resolved")], Mood.INFO),
        ([item("resolved")], Mood.GOOD),
        ([], Mood.INFO),
    ],
)
def test_the_mood_is_that_of_the_worst_that_fires(items: list[dict[str, Any]], mood: Mood) -> None:
    assert mood_of(items) is mood
