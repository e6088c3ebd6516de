"""What goes back and forth on hosts, told as one."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from infrawatch_api.api import Api, ApiDependency
from infrawatch_api.contract.common import Page
from infrawatch_api.contract.drift_stories import DriftStory, StoryStep
from infrawatch_api.domain.drift_changes import DriftSeverity, told
from infrawatch_api.domain.drift_stories import HostStory, fleet_stories, show
from infrawatch_api.domain.durations import read_duration
from infrawatch_api.domain.inputs import InvalidInputError, parse_tags, period, plain_text
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import requires
from infrawatch_api.pagination import Cursor, Limit, paging
from infrawatch_api.routes.parameters import HostIdFilter, TagFilter, checked_host_id
from infrawatch_api.store import drift_stories as store
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import subject
from infrawatch_common.drift.stories import Dated

_KINDS = (datetime, str, str)
_RANGE = timedelta(days=7)
_WINDOW, _WINDOW_MOST = timedelta(days=1), timedelta(days=90)
# By the identity of the change itself, which a story keeps: a thing can change twice at one time.
_Found = dict[int, store.Found]


@get(
    "/stories",
    guards=[requires(Role.VIEWER)],
    operation_id="listDriftStories",
    summary="List what went back and forth",
)
async def list_drift_stories(  # noqa: PLR0913 - each filter is a parameter
    *,
    api: ApiDependency,
    host_id: HostIdFilter = None,
    tag: TagFilter = None,
    category: Annotated[Category | None, QueryParameter(description="What changed.")] = None,
    source: Annotated[str | None, QueryParameter(max_length=4096, description="What lists the package.")] = None,
    name: Annotated[str | None, QueryParameter(max_length=4096, description="Its name, exactly.")] = None,
    window: Annotated[
        str | None,
        QueryParameter(
            description="Longest time between two changes of a story: an ISO 8601 duration, 30m, 6h, or seconds; a day"
            " by default, 90 days at most."
        ),
    ] = None,
    flapping: Annotated[bool, QueryParameter(description="Only stories of more than one change.")] = False,
    start: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 time; seven days before to by default.")
    ] = None,
    end: Annotated[str | None, QueryParameter(name="to", description="RFC 3339 time; now by default.")] = None,
    cursor: Cursor = None,
    limit: Limit = None,
) -> Page[DriftStory]:
    """Changes that are not hidden, those of one thing on one host that follow one another within the window as one, by
    the last change, newest first. Values that return are so seen at once. For lists that stay the same while they are
    paged through, give to. Ranges with more changes than the server's limit are refused.
    """
    wanted = paging(cursor, limit, _KINDS, default=api.settings.page_size, most=api.settings.page_size_max)
    longest = _window(window)
    filters = store.Filters(
        *_range(api, start, end),
        checked_host_id(host_id),
        parse_tags(tag or []),
        category,
        plain_text("source", source),
        plain_text("name", name),
    )
    async with api.database.connection() as connection:
        changes = await store.changes(connection, filters, api.settings.story_changes_max + 1)
        _check_number(len(changes), api.settings.story_changes_max)
        # Beside the loop: thousands of changes take their time.
        stories = await asyncio.to_thread(_stories, changes, longest, flapping=flapping)
        listed = [story for story in stories if wanted.after is None or _keys(story) < wanted.after][: wanted.fetch]
        found = {id(one.change): one for one in changes}
        firsts = [found[id(one.story.steps[0].change)] for one in listed]
        earlier = await store.began_before(connection, firsts, filters.start, longest)
    shown = [_shown(one, found, earlier) for one in listed]
    return wanted.page(shown, _shown_keys)


def _window(text: str | None) -> timedelta:
    length = _WINDOW if text is None else read_duration(text)
    if length is None or length > _WINDOW_MOST:
        raise InvalidInputError("window", "should be a length of time up to 90 days, such as PT6H, 6h or 21600")
    return length


def _range(api: Api, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    since, until = period(start, end)
    until = until or api.clock()
    since = since or until - _RANGE
    if since >= until:
        raise InvalidInputError("from", "should be earlier than to")
    return since, until


def _check_number(number: int, most: int) -> None:
    if number > most:
        raise InvalidInputError("from", f"should be later: there are more than {most} changes; or ask for fewer hosts")


def _stories(changes: Sequence[store.Found], window: timedelta, *, flapping: bool) -> list[HostStory]:
    by_host: defaultdict[str, list[Dated]] = defaultdict(list)
    for change in changes:
        by_host[change.host_id].append(Dated(change.at, change.change))
    return sorted(fleet_stories(by_host, window, flapping=flapping), key=_keys, reverse=True)


def _keys(one: HostStory) -> tuple[datetime, str, str]:
    return one.story.until, one.host_id, subject(one.story.key).hex()


def _shown_keys(story: DriftStory) -> tuple[datetime, str, str]:
    return story.until, story.host_id, subject(Key(story.category, story.source, story.name)).hex()


def _shown(
    one: HostStory,
    found: _Found,
    earlier: set[tuple[str, bytes, datetime]],
) -> DriftStory:
    story = one.story
    steps = [found[id(step.change)] for step in story.steps]
    seen = show(story)
    return DriftStory(
        host_id=one.host_id,
        category=story.key.category,
        source=story.key.source,
        name=story.key.name,
        since=story.since,
        until=story.until,
        changes=len(steps),
        returned=story.returned,
        first=seen.first,
        last=seen.last,
        values=seen.values,
        began_before=(one.host_id, steps[0].subject, story.since) in earlier,
        sentence=seen.sentence,
        steps=[_step(step) for step in steps],
    )


def _step(found: store.Found) -> StoryStep:
    values = {name: value for name, value in told(found.change)._asdict().items() if name != "sentence"}
    return StoryStep(
        id=found.id,
        not_before=found.not_before,
        at=found.at,
        action=found.change.action,
        direction=found.change.direction,
        severity=DriftSeverity(found.severity),
        late=found.late,
        **values,
    )


router = Router("/drift", route_handlers=[list_drift_stories], tags=["drift"])
