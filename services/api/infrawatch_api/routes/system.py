"""For machines: health and metrics."""

from typing import Any

from litestar import Response, Router, get
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from infrawatch_api.api import ApiDependency
from infrawatch_api.authentication import PUBLIC
from infrawatch_common.health import check_health


@get("/health/live", operation_id="getLiveness", summary="Whether the process answers")
async def live() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "live"}


@get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Whether the service can work",
)
async def ready(api: ApiDependency) -> Response[dict[str, Any]]:
    """503 when a check fails; the body has them all."""
    health = await check_health({"database": api.database.check})
    return Response(health.report(), status_code=200 if health.ready else 503)


@get("/metrics", operation_id="getMetrics", summary="Metrics in Prometheus' format", media_type=CONTENT_TYPE_LATEST)
async def metrics(api: ApiDependency) -> bytes:
    """Metrics in Prometheus' format."""
    return generate_latest(api.metrics.registry)


router = Router("/", route_handlers=[live, ready, metrics], opt={PUBLIC: True}, tags=["system"])
