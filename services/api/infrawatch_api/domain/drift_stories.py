"""What goes back and forth on hosts, told as one, without secrets."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from infrawatch_common.drift.changes import Category, Value, sentence
from infrawatch_common.drift.hiding import hidden
from infrawatch_common.drift.stories import Dated, Story, stories


class HostStory(NamedTuple):
    """A story and its host."""

    host_id: str
    story: Story


class Shown(NamedTuple):
    """What is told of a story."""

    first: str | None
    last: str | None
    values: list[str | None]
    sentence: str


def fleet_stories(changes: Mapping[str, Iterable[Dated]], window: timedelta, *, flapping: bool) -> list[HostStory]:
    """The stories of several hosts, by host; with ``flapping`` only those of more than one change."""
    return [
        HostStory(host_id, story)
        for host_id, of_host in changes.items()
        for story in stories(of_host, window)
        if len(story.steps) > 1 or not flapping
    ]


def show(story: Story) -> Shown:
    """What is told of a story. Values are told apart before they are hidden."""
    return Shown(
        _text(story, story.first),
        _text(story, story.last),
        [_text(story, value) for value in story.values],
        _told(story),
    )


def _told(story: Story) -> str:
    latest = sentence(story.steps[-1].change)
    if len(story.steps) == 1:
        return latest
    outcome = "it is as it was before them" if story.returned else f"it had {len(story.values)} values"
    return f"{latest}; the last of {len(story.steps)} changes, {outcome}"


def _text(story: Story, value: Value) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return hidden(story.key.name, value) if story.key.category is Category.ENV else value
    return "1 package" if len(value) == 1 else f"{len(value)} packages"
