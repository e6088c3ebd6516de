"""Who has a package in a range of versions."""

import pytest

from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.domain.rollouts import RolloutId, parse_rollout
from infrawatch_api.domain.version_ranges import VersionRange


@pytest.mark.parametrize(
    ("bounds", "version", "held"),
    [
        (VersionRange(), "1.0", True),
        (VersionRange(least="1.0"), "1.0", True),
        (VersionRange(least="1.0"), "1.0~rc1", False),
        (VersionRange(most="1.9"), "1.10", False),
        (VersionRange(most="1.9"), "1.9", True),
        (VersionRange(before="1.9"), "1.9", False),
        (VersionRange(before="1.9"), "1.9~1", True),
        (VersionRange(least="1.0", before="2.0"), "1.5", True),
        (VersionRange(most="6.1-1"), "6.1-1, 6.1-2", False),
    ],
)
def test_a_range_holds_what_the_order_of_the_source_says(bounds: VersionRange, version: str, held: bool) -> None:
    assert bounds.holds("dpkg", version) is held


def test_what_cannot_be_compared_is_neither_in_nor_out() -> None:
    assert VersionRange(least="1.0").holds("dpkg", "no version") is None
    assert VersionRange(least="1.0").holds("chocolatey", "1.5") is None
    assert VersionRange().holds("chocolatey", "1.5") is True


def test_what_one_bound_excludes_is_out_whatever_the_other_says() -> None:
    assert VersionRange(least="no version", most="1.0").holds("dpkg", "2.0") is False


def test_the_id_of_a_rollout_is_read_as_it_is_written() -> None:
    assert parse_rollout(str(RolloutId(3, 14))) == RolloutId(3, 14)


@pytest.mark.parametrize("text", ["", "3", "3-", "-3", "3-4-5", "3-x", "99999999999-1", "4294967296-1", "٣-٤"])
def test_what_is_no_id_of_a_rollout_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_rollout(text)
