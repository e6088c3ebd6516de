"""An operator who judges what has changed, through the API."""

from datetime import timedelta
from typing import Any

DRIFT = "/api/v1/drift"
BASELINES = f"{DRIFT}/baselines"
HOUR = timedelta(hours=1)


class Operator:
    """An operator at work."""

    def __init__(self, world: Any, email: str, token: str) -> None:
        self.world, self.email, self.token = world, email, token

    async def judge(self, change: str, verdict: str, **fields: Any) -> Any:
        body = {"verdict": verdict, "reason": "as planned", **fields}
        return await self.world.post(f"{DRIFT}/{change}/triage", self.token, json=body)

    async def judged(self, change: str, verdict: str, **fields: Any) -> Any:
        answer = await self.judge(change, verdict, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def judge_many(self, verdict: str = "accepted", **fields: Any) -> Any:
        return await self.world.post(
            f"{DRIFT}/triage", self.token, json={"verdict": verdict, "reason": "as planned", **fields}
        )

    async def accept(self, host_id: str = "web-1", name: str = "openssl", **fields: Any) -> Any:
        body = {"host_id": host_id, "category": "package", "source": "dpkg", "name": name, "reason": "pinned", **fields}
        return await self.world.post(BASELINES, self.token, json=body)

    async def accepted(self, *arguments: Any, **fields: Any) -> Any:
        answer = await self.accept(*arguments, **fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def baselines(self, **query: Any) -> list[Any]:
        answer = await self.world.get(BASELINES, self.token, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def values(self, **query: Any) -> list[Any]:
        return [one["value"] for one in await self.baselines(**{"in_force": True, **query})]

    async def end(self, baseline_id: str) -> Any:
        return await self.world.call("DELETE", f"{BASELINES}/{baseline_id}", self.token)

    def moment(self, hours: float = 0) -> str:
        return str((self.world.clock.now + hours * HOUR).isoformat().replace("+00:00", "Z"))
