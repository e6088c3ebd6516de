"""What most hosts of a fleet have, and who has something else."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.fleet import Accepted, Counted, Decided, Majority, Reporters, Wanted, doubtful, majorities
from infrawatch_api.domain.fleet_hosts import Fleet, Seen, arrange
from infrawatch_api.domain.fleet_order import deviation_rank, majority_rank, sortable
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.ignoring import Ignore
from infrawatch_common.drift.versions import Order, order

CURL = Key(Category.PACKAGE, "dpkg", "curl")
BASH = Key(Category.PACKAGE, "dpkg", "bash")
LANG = Key(Category.ENV, "", "LANG")
EVERYTHING = Wanted(everything=True)

# What a host has: a subject and its value.
Has = Mapping[Key, str]


class World:
    """Hosts with all that they have, and the counts that the database would give of them."""

    def __init__(
        self,
        hosts: Sequence[Has],
        labels: Sequence[str | None] = (),
        tags: Sequence[Mapping[str, str]] = (),
        ignores: Sequence[Ignore] = (),
    ) -> None:
        self.hosts = hosts
        self.facts: dict[tuple[Key, str], int] = {}
        for has in hosts:
            for item in has.items():
                self.facts.setdefault(item, len(self.facts) + 1)
        self.fleet: Fleet = arrange(
            [
                Seen(f"host-{n:02}", labels[n] if labels else None, tags[n] if tags else {}, UUID(int=n))
                for n in range(len(hosts))
            ],
            ignores,
        )

    def counted(self) -> list[Counted]:
        found = []
        for (key, value), fact in self.facts.items():
            cells = Counter(
                member.cell for member, has in zip(self.fleet.members, self.hosts, strict=True) if has.get(key) == value
            )
            found.append(Counted(fact, subject(key), key, value, list(cells), list(cells.values())))
        return found

    def reporters(self) -> Reporters:
        sources = doubtful(self.fleet, self.counted())
        return Reporters(
            self.fleet, {source: [n for n in range(len(self.hosts)) if self.reports(n, source)] for source in sources}
        )

    def reports(self, host: int, source: str) -> bool:
        return not source or any(key.source == source for key in self.hosts[host])

    def judged(self, accepted: Iterable[Accepted] = (), wanted: Wanted = EVERYTHING) -> list[Majority]:
        return majorities(self.fleet, self.counted(), self.reporters(), accepted, wanted)

    def only(self, accepted: Iterable[Accepted] = (), key: Key = CURL) -> Majority:
        [found] = [one for one in self.judged(accepted) if one.key == key]
        return found


def subject(key: Key) -> bytes:
    return "\0".join(key).encode()


def test_the_most_frequent_value_is_the_majority_and_others_deviate() -> None:
    found = World([{CURL: "8.1"}, {CURL: "8.1"}, {CURL: "8.0"}, {BASH: "5.2"}]).only()

    assert (found.value, found.decided, found.asked, found.have, found.deviating) == ("8.1", Decided.COUNT, 4, 2, 2)
    assert len(found.facts) == 3


def test_absence_can_be_the_majority() -> None:
    found = World([{CURL: "8.1"}, {BASH: "5.2"}, {BASH: "5.2"}]).only()

    assert (found.value, found.have, found.deviating) == (None, 2, 1)


def test_of_a_tie_the_newest_version_wins_by_the_order_of_its_source() -> None:
    found = World([{CURL: "1.9"}, {CURL: "1.10"}]).only()

    assert (found.value, found.decided) == ("1.10", Decided.VERSION)


def test_of_a_tie_with_absence_presence_wins() -> None:
    found = World([{CURL: "8.1"}, {BASH: "5.2"}]).only()

    assert (found.value, found.decided) == ("8.1", Decided.PRESENCE)


def test_of_a_tie_without_order_the_first_text_wins() -> None:
    found = World([{LANG: "de"}, {LANG: "C"}]).only(key=LANG)

    assert (found.value, found.decided) == ("C", Decided.TEXT)


def test_hosts_that_do_not_report_a_source_are_not_asked_for_its_packages() -> None:
    found = World([{CURL: "8.1"}, {CURL: "8.1", BASH: "5.2"}, {LANG: "C"}]).only()

    assert (found.asked, found.deviating) == (2, 0)


def test_what_is_accepted_does_not_deviate() -> None:
    world = World([{CURL: "8.1"}, {CURL: "8.1"}, {CURL: "8.0"}, {BASH: "5.2"}])

    old = Accepted(2, subject(CURL), world.facts[CURL, "8.0"])
    absent = Accepted(3, subject(CURL), None)

    assert (world.only([old]).accepted, world.only([old]).deviating) == (1, 1)
    assert (world.only([old, absent]).accepted, world.only([old, absent]).deviating) == (2, 0)
    assert world.judged([old, absent], Wanted(name="curl")) == []


def test_what_is_accepted_and_is_the_majority_by_now_is_no_exception() -> None:
    world = World([{CURL: "8.1"}, {CURL: "8.1"}, {CURL: "8.0"}])

    assert world.only([Accepted(0, subject(CURL), world.facts[CURL, "8.1"])]).accepted == 0


def test_accepted_absence_says_nothing_of_a_host_that_does_not_report_the_source() -> None:
    world = World([{CURL: "8.1"}, {CURL: "8.1"}, {BASH: "5.2"}, {LANG: "C"}])

    found = world.only([Accepted(3, subject(CURL), None)])

    assert (found.asked, found.accepted, found.deviating) == (3, 0, 1)


def test_an_ignore_rule_spares_the_hosts_that_it_selects_and_no_others() -> None:
    rule = Ignore(UUID(int=1), Category.PACKAGE, ("dpkg",), ("cu*",), {"env": "test"})
    world = World(
        [{CURL: "8.1"}, {CURL: "8.1"}, {CURL: "8.0", BASH: "5.2"}],
        tags=[{"env": "prod"}, {"env": "prod"}, {"env": "test"}],
        ignores=[rule],
    )

    assert (world.only().asked, world.only().deviating) == (2, 0)
    assert (world.only(key=BASH).asked, world.only(key=BASH).deviating) == (3, 1)


def test_a_rule_for_every_host_hides_the_subject() -> None:
    world = World([{CURL: "8.1"}, {CURL: "8.0"}], ignores=[Ignore(UUID(int=1), None, (), ("curl",), {})])

    assert world.judged() == []


def test_groups_are_compared_within_themselves() -> None:
    world = World([{CURL: "8.1"}, {CURL: "8.0"}, {CURL: "8.0"}], labels=["a", None, None])

    assert world.fleet.labels == ("a", None)
    assert [(one.group, one.value, one.deviating) for one in world.judged()] == [(0, "8.1", 0), (1, "8.0", 0)]


def test_what_most_hosts_deviate_in_comes_first_and_names_sort_the_rest() -> None:
    world = World([{CURL: "1", BASH: "1", LANG: "C"}, {CURL: "2", BASH: "2"}, {CURL: "3", BASH: "1"}])
    ranked = sorted(world.judged(), key=lambda one: majority_rank(None, one))

    assert [one.key.name for one in ranked] == ["curl", "bash", "LANG"]


def test_groups_without_label_sort_last() -> None:
    assert deviation_rank("zzz", CURL) < deviation_rank(None, CURL)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=6))
def test_sortable_texts_sort_as_their_beginnings_do_and_are_told_apart(texts: list[str]) -> None:
    made = sorted(texts, key=sortable)

    assert [text[:32] for text in made] == [text[:32] for text in sorted(texts)]
    assert len(set(map(sortable, texts))) == len(set(texts))
    assert all(sortable(text).isascii() and sortable(text).isprintable() for text in texts)


keys = st.sampled_from([CURL, BASH, LANG, Key(Category.PACKAGE, "rpm", "curl")])
hosts = st.lists(
    st.tuples(
        st.dictionaries(keys, st.sampled_from(["1.0", "1.0~rc1", "1.10", "x y"]), max_size=4),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([{}, {"env": "prod"}]),
    ),
    min_size=1,
    max_size=9,
)


@given(hosts, st.booleans())
def test_every_number_is_what_counting_hosts_one_by_one_gives(
    drawn: list[tuple[Has, str | None, dict[str, str]]], ignored: bool
) -> None:
    rules = [Ignore(UUID(int=1), None, (), ("curl",), {"env": "prod"})] if ignored else []
    world = World([has for has, _, _ in drawn], [label for _, label, _ in drawn], [tags for _, _, tags in drawn], rules)
    seen = set()
    for one in world.judged():
        label = world.fleet.labels[one.group]
        asked = [
            has.get(one.key)
            for number, (has, of_host, tags) in enumerate(drawn)
            if of_host == label
            and world.reports(number, one.key.source)
            and not (ignored and one.key.name == "curl" and tags)
        ]
        counts = Counter(asked)
        assert (one.asked, one.have, one.others, len(one.facts)) == (
            len(asked),
            max(counts.values()),
            len(asked) - max(counts.values()),
            len(counts),
        )
        assert counts[one.value] == one.have
        rivals = [value for value, count in counts.items() if count == one.have and value != one.value]
        assert (one.decided is Decided.COUNT) == (not rivals)
        if one.decided is Decided.VERSION:
            assert one.value is not None
            assert all(value is None or order("dpkg", value, one.value) is Order.OLDER for value in rivals)
        seen.add((label, one.key))

    there = {(label, key) for has, label, tags in drawn for key in has if not (ignored and key.name == "curl" and tags)}
    assert seen == there


@given(hosts)
def test_which_values_hosts_have_does_not_depend_on_the_order_of_counting(
    drawn: list[tuple[Has, str | None, dict[str, str]]],
) -> None:
    world = World([has for has, _, _ in drawn], [label for _, label, _ in drawn])
    other = majorities(world.fleet, reversed(world.counted()), world.reporters(), (), EVERYTHING)

    assert {(one.group, one.key, one.value, one.decided) for one in world.judged()} == {
        (one.group, one.key, one.value, one.decided) for one in other
    }
