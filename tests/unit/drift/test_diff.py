"""What differs is told once, in order, and can be made and undone."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.changes import Action, Category, Change, Direction
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.diff import MisfitError, apply, diff

BEFORE = Content(
    "Debian GNU/Linux 12",
    "6.1.0-18-amd64",
    {"dpkg": {"openssl": "3.0.15-1", "sudo": "1.9.13", "zlib1g": "1.2"}, "python:/opt/venv": {"pip": "23.0"}},
    {"LANG": "C", "TOKEN": "hmac:aa"},
)

NAMES = st.sampled_from(["os_info", "kernel", "dpkg", "python:/opt/venv", "openssl", ""])
VERSIONS = st.sampled_from(["", "1.0", "1.0-0", "1.0~rc1", "2.0", "two"])
TABLES = st.dictionaries(NAMES, VERSIONS, max_size=4)
CONTENTS = st.builds(Content, VERSIONS, VERSIONS, st.dictionaries(NAMES, TABLES, max_size=3), TABLES)

ACTIONS = {Action.ADDED: Action.REMOVED, Action.REMOVED: Action.ADDED, Action.CHANGED: Action.CHANGED}
DIRECTIONS = {Direction.UPGRADED: Direction.DOWNGRADED, Direction.DOWNGRADED: Direction.UPGRADED, None: None}


def inverse(change: Change) -> Change:
    return change._replace(
        action=ACTIONS[change.action],
        before=change.after,
        after=change.before,
        direction=DIRECTIONS[change.direction],
    )


def shuffled(content: Content, chance: random.Random) -> Content:
    def table(values: dict[str, object]) -> dict[str, object]:
        return dict(chance.sample(list(values.items()), len(values)))

    packages = {source: table(dict(listed)) for source, listed in content.packages.items()}
    return Content(content.os_info, content.kernel, table(dict(packages)), table(dict(content.env_vars)))  # type: ignore[arg-type]


@given(CONTENTS, CONTENTS)
def test_making_the_changes_leads_from_one_to_the_other(a: Content, b: Content) -> None:
    assert apply(a, diff(a, b)) == b


@given(CONTENTS, CONTENTS, st.randoms(use_true_random=False))
def test_the_order_in_which_changes_are_made_does_not_matter(a: Content, b: Content, chance: random.Random) -> None:
    changes = list(diff(a, b))
    chance.shuffle(changes)
    assert apply(a, changes) == b


@given(CONTENTS, CONTENTS)
def test_the_way_back_is_the_inverse(a: Content, b: Content) -> None:
    assert diff(b, a) == tuple(map(inverse, diff(a, b)))


@given(CONTENTS, st.randoms(use_true_random=False))
def test_nothing_differs_from_itself_however_it_is_listed(content: Content, chance: random.Random) -> None:
    assert diff(content, shuffled(content, chance)) == ()


@given(CONTENTS, CONTENTS, st.randoms(use_true_random=False))
def test_the_order_of_listing_does_not_matter(a: Content, b: Content, chance: random.Random) -> None:
    assert diff(shuffled(a, chance), shuffled(b, chance)) == diff(a, b)


@given(CONTENTS, CONTENTS)
def test_changes_are_sorted_and_each_thing_changes_once(a: Content, b: Content) -> None:
    ranks = list(Category)
    keys = [(ranks.index(change.category), change.source, change.name) for change in diff(a, b)]
    assert keys == sorted(set(keys))


def test_each_kind_of_change_is_told_with_its_direction() -> None:
    after = Content(
        "Debian GNU/Linux 13",
        "6.12.0-1-amd64",
        {"dpkg": {"openssl": "3.0.16-1", "sudo": "1.9.9", "vim": "9"}, "python:/opt/venv": {"pip": "23"}},
        {"LANG": "C.UTF-8", "TOKEN": "hmac:bb", "TZ": "UTC"},
    )
    package, env = Category.PACKAGE, Category.ENV
    assert diff(BEFORE, after) == (
        Change(Category.OS, "", "os_info", Action.CHANGED, "Debian GNU/Linux 12", "Debian GNU/Linux 13"),
        Change(Category.KERNEL, "", "kernel", Action.CHANGED, "6.1.0-18-amd64", "6.12.0-1-amd64"),
        Change(package, "dpkg", "openssl", Action.CHANGED, "3.0.15-1", "3.0.16-1", Direction.UPGRADED),
        Change(package, "dpkg", "sudo", Action.CHANGED, "1.9.13", "1.9.9", Direction.DOWNGRADED),
        Change(package, "dpkg", "vim", Action.ADDED, None, "9"),
        Change(package, "dpkg", "zlib1g", Action.REMOVED, "1.2", None),
        # The same version, written in another way: a change, in no direction.
        Change(package, "python:/opt/venv", "pip", Action.CHANGED, "23.0", "23"),
        Change(env, "", "LANG", Action.CHANGED, "C", "C.UTF-8"),
        Change(env, "", "TOKEN", Action.CHANGED, "hmac:aa", "hmac:bb"),
        Change(env, "", "TZ", Action.ADDED, None, "UTC"),
    )


def test_a_source_that_is_not_reported_is_one_change_and_an_empty_one_is_many() -> None:
    gone = replace(BEFORE, packages={"python:/opt/venv": {"pip": "23.0"}})
    listed = BEFORE.packages["dpkg"]
    assert diff(BEFORE, gone) == (Change(Category.SOURCE, "dpkg", "", Action.REMOVED, listed, None),)
    assert diff(gone, BEFORE) == (Change(Category.SOURCE, "dpkg", "", Action.ADDED, None, listed),)
    empty = replace(BEFORE, packages=dict(BEFORE.packages) | {"dpkg": {}})
    assert [(change.category, change.action) for change in diff(BEFORE, empty)] == [
        (Category.PACKAGE, Action.REMOVED)
    ] * 3


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (Change(Category.OS, "", "os_info", Action.CHANGED, "x", "y"), "os os_info cannot be changed: it has another"),
        (
            Change(Category.PACKAGE, "dpkg", "sudo", Action.ADDED, None, "2"),
            "sudo cannot be added: it is there already",
        ),
        (Change(Category.PACKAGE, "dpkg", "vim", Action.REMOVED, "2", None), "vim cannot be removed: it is not there"),
        (
            Change(Category.PACKAGE, "apk", "vim", Action.ADDED, None, "2"),
            "vim cannot be added: there is no source apk",
        ),
        (Change(Category.ENV, "", "TOKEN", Action.CHANGED, "s3cr3t", "n3w"), "TOKEN cannot be changed: it has another"),
        (Change(Category.SOURCE, "apk", "", Action.ADDED, None, "text"), "source apk cannot become what is of another"),
        (Change(Category.KERNEL, "", "kernel", Action.REMOVED, "6.1.0-18-amd64", None), "nor the kernel can be gone"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_without_values(change: Change, complaint: str) -> None:
    with pytest.raises(MisfitError, match=complaint) as refused:
        apply(BEFORE, [change])
    assert "s3cr3t" not in str(refused.value)


def test_what_changes_are_made_to_stays_as_it_was() -> None:
    after = replace(BEFORE, packages={"dpkg": {}}, env_vars={})
    apply(BEFORE, diff(BEFORE, after))
    assert len(BEFORE.packages["dpkg"]) == 3
    assert len(BEFORE.env_vars) == 2
