"""Truthful health: a service is ready when every one of its checks says so now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

# Returns what is wrong, or None.
Check = Callable[[], Awaitable[str | None]]

CHECK_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of all checks by name; a value is what is wrong, or None."""

    checks: Mapping[str, str | None]

    @property
    def ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.checks.values())

    def report(self) -> dict[str, object]:
        """The body of ``/health/ready``."""
        return {
            "status": "ready" if self.ready else "not ready",
            "checks": {name: problem or "ok" for name, problem in self.checks.items()},
        }


async def check_health(checks: Mapping[str, Check]) -> Health:
    """Run all checks at once; one that takes longer than two seconds has failed."""
    problems = await asyncio.gather(*(_run(check) for check in checks.values()))
    return Health(dict(zip(checks, problems, strict=True)))


async def _run(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT:g} s"
    except Exception as error:  # noqa: BLE001 - a check that breaks is a failed check
        return f"{type(error).__name__}: {error}"
