"""What happened before an alert, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from infrawatch_api.domain.before_alert import NO_PEERS, Peers, length, moment, others, overview

SINCE = datetime(2026, 11, 22, 3, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return SINCE + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (86_400, "1 day"),
        (100_000, "27 hours"),
        (172_800, "2 days"),
        (-720, "12 minutes"),
    ],
)
def test_lengths_of_time_are_told_roughly(seconds: int, told: str) -> None:
    assert length(timedelta(seconds=seconds)) == told


@pytest.mark.parametrize(
    ("not_before", "seen", "told"),
    [
        (-22, -12, "12 minutes before"),
        (-10, 0, "at the same time"),
        (-6, 4, "seen 4 minutes after it began, but not yet 6 minutes before it"),
        (1, 3, "3 minutes after it began"),
    ],
)
def test_a_change_is_placed_in_time_as_far_as_that_is_known(not_before: float, seen: float, told: str) -> None:
    assert moment(at(not_before), at(seen), SINCE) == told


@pytest.mark.parametrize(
    ("peers", "told"),
    [
        (NO_PEERS, "no other host came to the same within 7 days"),
        (
            Peers(1, False, 0, 0, 0),
            "1 other host came to the same, 0 of them earlier; none of them had an alert within 24 hours of it",
        ),
        (
            Peers(14, False, 9, 3, 0),
            "14 other hosts came to the same, 9 of them earlier; 3 had alerts within 24 hours of it",
        ),
        (
            Peers(5, True, 2, 3, 2),
            "at least 5 other hosts came to the same, 2 of them earlier; 3 had alerts within 24 hours of it, {}",
        ),
    ],
)
def test_it_is_told_how_others_fared(peers: Peers, told: str) -> None:
    assert others(peers, 24) == told.format("2 of them this one")


def test_what_is_not_known_is_said() -> None:
    assert overview(0, more=False, hours=24, seen_at=None, since=SINCE) == (
        "The host had sent no snapshot by then: nothing is known of changes."
    )
    assert overview(0, more=False, hours=24, seen_at=SINCE, since=SINCE) == (
        "No change from 24 hours before it until it fired."
    )
    assert overview(20, more=True, hours=1, seen_at=SINCE, since=SINCE) == (
        "More than 20 changes from 1 hour before it until it fired."
    )
    assert overview(1, more=False, hours=24, seen_at=at(-120), since=SINCE) == (
        "1 change from 24 hours before it until it fired. The host was last seen 2 hours before it: what changed later"
        " is not known."
    )
