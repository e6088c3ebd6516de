"""All routes, in one place. A later feature adds its router to ``api_v1``."""

from collections.abc import Sequence

from litestar import Router

from infrawatch_api.routes import (
    alert_event_drift,
    alert_events,
    alert_previews,
    alerts,
    auth,
    channels,
    deliveries,
    docs,
    drift_baselines,
    drift_changes,
    drift_comparisons,
    drift_ignores,
    drift_stories,
    drift_triage,
    enrolments,
    fleet,
    host_keys,
    hosts,
    installations,
    queries,
    records,
    rollouts,
    samples,
    silences,
    snapshots,
    system,
    tokens,
    users,
)

_MODULES = (
    auth,
    hosts,
    samples,
    queries,
    alerts,
    alert_previews,
    alert_events,
    alert_event_drift,
    channels,
    silences,
    deliveries,
    drift_triage,
    drift_baselines,
    drift_ignores,
    fleet,
    installations,
    rollouts,
    snapshots,
    drift_changes,
    drift_comparisons,
    drift_stories,
    users,
    tokens,
    enrolments,
    host_keys,
    records,
)


def api_v1() -> Router:
    """Everything under ``/api/v1``."""
    return Router(
        "/api/v1",
        route_handlers=[module.router for module in _MODULES],
    )


def documented() -> Sequence[Router]:
    """What the OpenAPI document describes."""
    return [api_v1(), system.router]


def undocumented() -> Sequence[Router]:
    """Pages and files."""
    return [docs.router]
