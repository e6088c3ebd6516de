"""An operator who keeps alert rules through the API."""

from typing import Any

ALERTS = "/api/v1/alerts"
NOBODY = f"{ALERTS}/0193a000-0000-7000-8000-000000000000"
CPU: dict[str, Any] = {
    "name": "cpu high",
    "host_id": None,
    "selector": {"env": "prod"},
    "metric": "cpu",
    "comparison": ">=",
    "threshold": 90,
    "clear_threshold": 80,
    "duration": "PT5M",
    "severity": "warning",
    "enabled": True,
}
ON_HOST = {"name": "silent", "host_id": "web-1", "metric": "heartbeat", "duration": 120}


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def create(self, **fields: Any) -> Any:
        return await self.world.post(ALERTS, self.token, json={**CPU, **fields})

    async def created(self, **fields: Any) -> Any:
        answer = await self.create(**fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def change(self, alert: Any, **fields: Any) -> Any:
        return await self.world.call("PATCH", f"{ALERTS}/{alert['id']}", self.token, json=fields)

    async def changed(self, alert: Any, **fields: Any) -> Any:
        answer = await self.change(alert, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, alert: Any) -> Any:
        return (await self.world.get(f"{ALERTS}/{alert['id']}", self.token)).json()

    async def versions(self, alert: Any, **query: Any) -> Any:
        answer = await self.world.get(f"{ALERTS}/{alert['id']}/versions", self.token, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listed(self, **query: Any) -> list[str]:
        answer = await self.world.get(ALERTS, self.token, params=query)
        assert answer.status_code == 200, answer.text
        return [alert["name"] for alert in answer.json()["items"]]


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return sorted(error["field"] for error in answer.json()["errors"])


def stamp(world: Any) -> str:
    return str(world.clock.now.isoformat().replace("+00:00", "Z"))
