"""Too many failures from one address make further attempts wait."""

from infrawatch_api.api import Act
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.throttle import Throttle
from infrawatch_api.problems import too_many
from infrawatch_api.store import audit
from infrawatch_common.database import Connection


async def refuse_when_throttled(
    connection: Connection, throttle: Throttle, failure: Action, act: Act, network: str
) -> None:
    """Raise ``ProblemError`` (429) after too many of these failures of the actor from that network."""
    failures = await audit.failures(
        connection,
        failure,
        actor=act.actor,
        network=network,
        since=act.at - throttle.window,
        limit=throttle.limit,
    )
    if wait := throttle.wait(failures, act.at):
        raise too_many(wait)
