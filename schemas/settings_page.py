"""The page of all settings, from the settings classes."""

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import Meta
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from infrawatch_agent import settings as agent
from infrawatch_alerting.settings import Settings as AlertingSettings
from infrawatch_api.settings import Settings as ApiSettings
from infrawatch_common.settings import variable
from infrawatch_common.topics import TopicSettings
from infrawatch_drift.settings import Settings as DriftSettings
from infrawatch_ingest.settings import Settings as IngestSettings
from infrawatch_migrations.settings import Settings as MigrationSettings

Row = tuple[str, str, str]

_INTRODUCTION = """\
# Settings

Every setting is an environment variable. Instead of a value, the name with `_FILE` appended may point to a file that
holds it, which is how secrets reach a service. An empty variable counts as unset. A wrong value ends the process at its
start with one sentence and exit code 2. This page is generated from the settings classes by `make contracts`.
"""


def settings_page() -> str:
    """The page, in Markdown."""
    sections = {
        "Agent (`infrawatch-agent`)": _agent_rows(),
        "Ingest (`infrawatch-ingest`)": _rows(IngestSettings),
        "Alerting (`infrawatch-alerting`)": _rows(AlertingSettings),
        "Drift (`infrawatch-drift`)": _rows(DriftSettings),
        "API (`infrawatch-api`)": _rows(ApiSettings),
        "Migrations (`infrawatch-migrate`)": _rows(MigrationSettings),
        "Topics (`python -m infrawatch_common.topics`)": _rows(TopicSettings),
    }
    return _INTRODUCTION + "".join(_section(title, list(rows)) for title, rows in sections.items())


def _section(title: str, rows: list[Row]) -> str:
    lines = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows]
    return "\n".join(["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|", *lines, ""])


def _rows(settings: type[BaseSettings]) -> Iterator[Row]:
    for name, field in sorted(settings.model_fields.items()):
        default = "required" if field.default is PydanticUndefined else _shown(field.default)
        yield variable(name), default, field.description or ""


def _agent_rows() -> Iterator[Row]:
    defaults = agent.Settings()
    for name, hint in sorted(get_type_hints(agent.Settings, include_extras=True).items()):
        yield agent.variable(name), _shown(getattr(defaults, name)), _description(hint)


def _description(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for extra in get_args(hint)[1:]:
            if isinstance(extra, Meta) and extra.description:
                return extra.description
    return ""


def _shown(default: Any) -> str:
    if default is None or default in ((), ""):
        return "–"
    if isinstance(default, bool):
        return "`true`" if default else "`false`"
    return f"`{','.join(default)}`" if isinstance(default, tuple) else f"`{default}`"
