"""What is wrong with ignore rules: what they list can never be, is too long, or is everything there is."""

from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.ignoring import Ignore

_WITHOUT_SOURCE = (Category.OS, Category.KERNEL, Category.ENV)
_WITHOUT_NAME = (Category.OS, Category.KERNEL, Category.SOURCE)


def contradictions(ignore: Ignore, most: int) -> dict[str, str]:
    """Its lists that are for nothing, or longer than ``most``, by field; a sentence each."""
    wrong = {
        field: f"should list at most {most} globs"
        for field in ("sources", "names")
        if len(getattr(ignore, field)) > most
    }
    if ignore.sources and ignore.category in _WITHOUT_SOURCE:
        wrong["sources"] = f"should be absent, as {ignore.category} has no source"
    if ignore.names and ignore.category in _WITHOUT_NAME:
        wrong["names"] = f"should be absent, as a change of {ignore.category} is about the whole of it"
    return wrong


def is_everything(ignore: Ignore) -> bool:
    """Whether no change escapes it, however it is written."""
    return (
        ignore.category is None
        and not ignore.selector
        and all(not globs or any(set(glob) == {"*"} for glob in globs) for globs in (ignore.sources, ignore.names))
    )
