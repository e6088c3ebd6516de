"""What a content says, thing by thing."""

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.facts import Fact, fact_key, facts_of, subject

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
FACTS = st.builds(Fact, st.sampled_from(Category), NAMES, NAMES, NAMES)


def test_a_content_says_each_thing_once() -> None:
    content = Content("Debian 13", "6.12.1", {"dpkg": {"a": "1", "b": "2"}, "rpm": {}}, {"LANG": "C"})
    assert set(facts_of(content)) == {
        Fact(Category.OS, "", "os_info", "Debian 13"),
        Fact(Category.KERNEL, "", "kernel", "6.12.1"),
        Fact(Category.PACKAGE, "dpkg", "a", "1"),
        Fact(Category.PACKAGE, "dpkg", "b", "2"),
        Fact(Category.ENV, "", "LANG", "C"),
    }


@given(FACTS, FACTS)
def test_digests_are_the_same_for_the_same_thing_alone(one: Fact, other: Fact) -> None:
    assert (fact_key(one) == fact_key(other)) == (one == other)
    assert (subject(one.about) == subject(other.about)) == (one.about == other.about)


def test_the_digests_are_stored_and_stay_what_they_are() -> None:
    about = Key(Category.PACKAGE, "dpkg", "openssl")
    assert subject(about).hex() == "f0251313c01f74b4880988cbce97d411"
    assert fact_key(Fact(*about, "3.0.15-1")).hex() == "fa6ee3986d4d2831b9c504883f4408db"
