"""What routes may ask for by name."""

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.di import Provide

from infrawatch_api.api import Act, Api, ApiDependency, Caller, client_ip

_Request = Request[Caller, None, Any]


def _caller(request: _Request) -> Caller:
    return request.user


def _act(request: _Request, api: ApiDependency) -> Act:
    return Act(request.user.email, client_ip(request), api.clock())


def dependencies(api: Api | None) -> Mapping[str, Provide]:
    """``api``, ``caller`` (who is asking) and ``act`` (to note in the audit log what the caller does)."""
    return {
        "api": Provide(lambda: api, sync_to_thread=False),
        "caller": Provide(_caller, sync_to_thread=False),
        "act": Provide(_act, sync_to_thread=False),
    }
