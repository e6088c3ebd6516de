"""Versions are ordered as the tool that installed them orders them."""

import os
import random
import shutil
import subprocess
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from infrawatch_common.drift.versions import Order, order

OPPOSITE = {
    Order.OLDER: Order.NEWER,
    Order.NEWER: Order.OLDER,
    Order.SAME: Order.SAME,
    Order.UNKNOWN: Order.UNKNOWN,
}

# Each row rises from left to right.
RISING = [
    ("dpkg", "0.9 1.0~~ 1.0~~a 1.0~ 1.0~rc1 1.0 1.0a 1.0+b1 1.0.1 1.1 1.9 1.10 1:0.1 2:0"),
    ("dpkg", "3.0.15-1~deb12u1 3.0.15-1 3.0.15-1+b1 3.0.15-2 3.0.15-10 3.0.16-1~bpo1 3.0.16-1"),
    ("dpkg", "2.36-9+deb12u3 2.36-9+deb12u10 2.41-12"),
    ("dpkg", "1.2-3-1 1.2-3-2 1.2-4-1"),
    ("dpkg", "1.0 1.0z 1.0+ 1.0."),
    ("rpm", "1.0~beta-1 1.0~rc1-1 1.0-1 1.0^git1-1 1.0.a-1 1.0.1-1 1.0.10-1 1.1-1 1:0.9-1"),
    ("rpm", "5.14.0-9.el9 5.14.0-70.13.1.el9_0 5.14.0-162.6.1.el9_1 5.14.0-162.12.1.el9_1"),
    ("rpm", "2.0a-1 2.0b-1 2.0.1-1 2.1-1"),
    ("rpm", "1.0~rc1^git1 1.0~rc1.1 1.0 1.0^ 1.0^20210501 1.0.1"),
    ("apk", "1.2.5_alpha 1.2.5_alpha1 1.2.5_beta 1.2.5_pre2 1.2.5_rc1 1.2.5_rc2 1.2.5 1.2.5-r0 1.2.5-r1 1.2.5-r10"),
    ("apk", "1.2.5-r3 1.2.5_cvs1 1.2.5_svn1 1.2.5_git20230717 1.2.5_git20230717-r5 1.2.5_hg1 1.2.5_p1 1.2.5a 1.2.5.0"),
    ("apk", "9.9 10.0 10.01 10.1 10.9 10.10"),
    ("apk", "1.0_p1_alpha1 1.0_p1 1.0_p1_p1 1.0_p2"),
    ("apk", "1.0_git1~0abc-r0 1.0_git1~1abc-r0"),
    ("python:/usr/bin/python3", "1.0.dev1 1.0a1 1.0b2 1.0rc1 1.0 1.0+local 1.0.post1 1.1 1!0.1"),
]
SAME = [
    ("dpkg", "1.0", "1.0-0"),
    ("dpkg", "0:1.0", "1.0"),
    ("dpkg", "1.01", "1.1"),
    ("dpkg", "1.0a", "1.0a0"),
    ("dpkg", "1.0-1, 1.0-2", "0.9-1, 1.0-2"),
    ("rpm", "1.0-1", "0:1_0.-1"),
    ("rpm", "1.05", "1.5"),
    ("apk", "01.2", "1.2"),
    ("python:/opt/venv", "1.0", "1.0.0"),
    ("python:/opt/venv", "1.0RC1", "1.0-rc.1"),
    ("brew", "anything at all", "anything at all"),
]
UNKNOWN = [
    ("dpkg", "1.0-", "1.0"),
    ("dpkg", "1.0 beta", "1.0"),
    ("dpkg", "", "1.0"),
    ("dpkg", "x:1.0-1_2", "1.0"),
    ("rpm", "", "1"),
    ("rpm", "1 2", "1"),
    ("apk", "1.0apple", "1.0"),
    ("apk", "1.0_new1", "1.0"),
    ("apk", "1.0-r", "1.0"),
    ("apk", "v1", "1"),
    ("python:/opt/venv", "2004d", "2005"),
    ("python:/opt/venv", "9" * 5000, "1"),
    ("brew", "1", "2"),
    ("", "1", "2"),
]


@pytest.mark.parametrize(("source", "row"), RISING)
def test_each_source_orders_versions_in_its_own_way(source: str, row: str) -> None:
    versions = row.split(" ")
    for older, newer in [pair for start in range(len(versions)) for pair in pairwise(versions[start:])]:
        assert (order(source, older, newer), order(source, newer, older)) == (Order.OLDER, Order.NEWER), (older, newer)


@pytest.mark.parametrize(("source", "a", "b"), SAME)
def test_versions_that_are_written_differently_may_be_the_same(source: str, a: str, b: str) -> None:
    assert (order(source, a, b), order(source, b, a)) == (Order.SAME, Order.SAME)


@pytest.mark.parametrize(("source", "a", "b"), UNKNOWN)
def test_what_is_no_version_is_neither_older_nor_newer(source: str, a: str, b: str) -> None:
    assert (order(source, a, b), order(source, b, a)) == (Order.UNKNOWN, Order.UNKNOWN)


def test_a_package_in_several_versions_counts_as_its_newest() -> None:
    # The agent lists them in the order of letters, where 9 comes last.
    assert order("rpm", "5.14-10, 5.14-9", "5.14-11, 5.14-9") is Order.OLDER
    assert order("rpm", "5.14-10, 5.14-9", "5.14-10") is Order.SAME
    assert order("rpm", "5.14-10, ", "5.14-10") is Order.UNKNOWN


# Few letters, so that versions meet where they differ little.
ALPHABETS = {
    "dpkg": "01290ab~+.-:",
    "rpm": "0129ab~^._-:",
    "apk": "012.9ab_p~-r",
    "python:x": "012.ab!+rc-d",
}


@st.composite
def versions_of_a_source(draw: st.DrawFn) -> tuple[str, str, str, str]:
    source = draw(st.sampled_from(sorted(ALPHABETS)))
    version = st.text(ALPHABETS[source], min_size=1, max_size=8)
    if source == "apk":
        pieces = ["1", "01", ".0", ".01", ".1", ".10", "a", "b", "_alpha", "_p", "_git2", "_rc1", "~ab", "-r1", "-r02"]
        version = st.lists(st.sampled_from(pieces), max_size=4).map(lambda some: "1" + "".join(some))
    return source, draw(version), draw(version), draw(version)


@given(versions_of_a_source())
def test_the_order_is_total_among_the_versions_of_a_source(drawn: tuple[str, str, str, str]) -> None:
    source, a, b, c = drawn
    assert order(source, a, a) is Order.SAME
    assert order(source, b, a) is OPPOSITE[order(source, a, b)]
    steps = order(source, a, b), order(source, b, c)
    if Order.UNKNOWN not in steps and OPPOSITE[steps[0]] != steps[1]:
        assert order(source, a, c) is next((step for step in steps if step is not Order.SAME), Order.SAME)
    elif steps == (Order.SAME, Order.SAME):
        assert order(source, a, c) is Order.SAME


def compared_by_dpkg(pairs: list[tuple[str, str]]) -> list[Order]:
    """What dpkg says; one shell for all pairs."""
    script = (
        'while read -r a b; do if dpkg --compare-versions "$a" lt "$b"; then echo older;'
        ' elif dpkg --compare-versions "$a" eq "$b"; then echo same; else echo newer; fi; done'
    )
    said = subprocess.run(
        ["bash", "-c", script],
        input="".join(f"{a} {b}\n" for a, b in pairs),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    assert said.stderr == ""
    return [Order(line) for line in said.stdout.split()]


def debian_versions(chance: random.Random) -> str:
    def part(letters: str) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(1, 5)))

    epoch = chance.choice(["", "", "", "0:", "1:"])
    return f"{epoch}{chance.randint(0, 2)}{part('0129az.+~-')}{chance.choice(['', '-1', '-' + part('019a+~.')])}"


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is on Debian's family alone")
def test_dpkg_agrees() -> None:
    listed = subprocess.run(["dpkg-query", "-W", "-f", r"${Version}\n"], capture_output=True, text=True, check=True)
    real = sorted(set(listed.stdout.split()))
    chance = random.Random(17)
    made = [debian_versions(chance).replace("--", "-").rstrip("-") for _ in range(2400)]
    pairs = list(zip(made[::2], made[1::2], strict=True)) + [
        (chance.choice(real), chance.choice(real)) for _ in range(600)
    ]
    ours = [order("dpkg", a, b) for a, b in pairs]
    assert [
        (pair, us, dpkg) for pair, us, dpkg in zip(pairs, ours, compared_by_dpkg(pairs), strict=True) if us != dpkg
    ] == []
    assert len(set(ours)) == 3


def test_packaging_agrees() -> None:
    spelled = ["1", "1.0", "1.0.0", "1.0a1", "1.0.dev3", "1.0.post2", "1!0", "1.0+abc.1", "1.0-1", "v1.0", "1.0c1", "x"]
    for a, b in product(spelled, spelled):
        try:
            ours, theirs = Version(a), Version(b)
        except InvalidVersion:
            expected = Order.SAME if a == b else Order.UNKNOWN
        else:
            expected = Order.SAME if ours == theirs else Order.OLDER if ours < theirs else Order.NEWER
        assert order("python:/usr/bin/python3", a, b) is expected
