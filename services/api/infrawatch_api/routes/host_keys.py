"""Keys of hosts: an agent that proves its key gets a new one; the old one ends when the new one is in use."""

import base64
from datetime import timedelta

from litestar import Request, Router, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from infrawatch_api.api import Act, Api, ApiDependency, client_ip
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.contract.host_keys import ConfirmedKey, KeyProof, KeyState, NewHostKey
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.host_keys import HostKey, KeyRefusal, Proof, Purpose, refuses_key, refuses_proof
from infrawatch_api.domain.throttle import Throttle, throttled_network
from infrawatch_api.problems import PROBLEMS, Kind, ProblemError, too_many
from infrawatch_api.routes.throttling import refuse_when_throttled
from infrawatch_api.secrets import new_key_id
from infrawatch_api.store import host_keys, hosts
from infrawatch_common.database import Connection
from infrawatch_common.events import derive_secret

_AGENT = "agent"
_HOUR = timedelta(hours=1)
_OPTIONS = {PUBLIC: True, PROBLEMS: [403, 429]}


@post("/rotate", status_code=HTTP_200_OK, opt=_OPTIONS, operation_id="rotateHostKey", summary="Get a new host key")
async def rotate(data: JSONBody[KeyProof], request: Request, api: ApiDependency) -> NewHostKey:  # type: ignore[type-arg]
    """For agents: a further key for a host that proves its present one. Both are valid until the new one is confirmed,
    so that an agent that loses the answer asks again.
    """
    act = Act(_AGENT, client_ip(request), api.clock())
    await _judge(api, act, data, Purpose.ROTATE)
    async with api.database.transaction() as connection:
        await hosts.lock_claim(connection, data.host_id)
        outcome = await _rotate(connection, api, act, data)
    if isinstance(outcome, KeyRefusal):
        raise await _refused(api, act, data, outcome)
    return outcome


@post(
    "/confirm", status_code=HTTP_200_OK, opt=_OPTIONS, operation_id="confirmHostKey", summary="Confirm a new host key"
)
async def confirm(data: JSONBody[KeyProof], request: Request, api: ApiDependency) -> ConfirmedKey:  # type: ignore[type-arg]
    """For agents: the host proves that it holds its new key; its older ones end after an overlap, in which what they
    signed can arrive. Done twice it changes nothing.
    """
    act = Act(_AGENT, client_ip(request), api.clock())
    await _judge(api, act, data, Purpose.CONFIRM)
    at = act.at + timedelta(seconds=api.settings.host_key_overlap)
    async with api.database.transaction() as connection:
        await hosts.lock_claim(connection, data.host_id)
        key = await _key(connection, data, act)
        if isinstance(key, HostKey):
            revoked = await host_keys.revoke_older(connection, key, at)
            if revoked:
                await act.write(connection, Action.HOST_KEY_CONFIRMED, data.host_id, key_id=key.id, revoked=revoked)
    if isinstance(key, KeyRefusal):
        raise await _refused(api, act, data, key)
    return ConfirmedKey(data.host_id, data.key_id, at)


@post("/verify", status_code=HTTP_200_OK, opt=_OPTIONS, operation_id="verifyHostKey", summary="Verify a host key")
async def verify(data: JSONBody[KeyProof], request: Request, api: ApiDependency) -> KeyState:  # type: ignore[type-arg]
    """For agents: whether records that the host signs with this key are believed. Changes nothing."""
    act = Act(_AGENT, client_ip(request), api.clock())
    await _judge(api, act, data, Purpose.VERIFY)
    async with api.database.connection() as connection:
        key = await _key(connection, data, act)
    if isinstance(key, KeyRefusal):
        raise await _refused(api, act, data, key)
    return KeyState(key.host_id, key.id, key.created_at, key.revoked_at)


async def _rotate(connection: Connection, api: Api, act: Act, data: KeyProof) -> NewHostKey | KeyRefusal:
    """The new key, or why there is none."""
    key = await _key(connection, data, act)
    if isinstance(key, KeyRefusal):
        return key
    tolerance = timedelta(seconds=api.settings.host_key_clock_tolerance)
    if await host_keys.nonce_used(connection, data.host_id, data.nonce, act.at - 2 * tolerance):
        return KeyRefusal.REPLAYED
    throttle = Throttle(api.settings.host_key_rotations, _HOUR)
    made = await host_keys.latest(connection, data.host_id, act.at - _HOUR, throttle.limit)
    if wait := throttle.wait(made, act.at):
        raise too_many(wait)
    key_id = new_key_id()
    await hosts.add_key(connection, data.host_id, key_id, act.at)
    await act.write(connection, Action.HOST_KEY_ROTATED, data.host_id, nonce=data.nonce, old=key.id, key_id=key_id)
    # Last, so that nothing of ours can fail once Kafka has the user.
    access = await api.agent_users.give(connection, key_id)
    return NewHostKey(data.host_id, key_id, base64.b64encode(_secret(api, key_id)).decode(), access)


async def _key(connection: Connection, data: KeyProof, act: Act) -> HostKey | KeyRefusal:
    key = await host_keys.get(connection, data.key_id)
    refusal = refuses_key(key, data.host_id, act.at)
    return refusal or key or KeyRefusal.UNKNOWN


async def _judge(api: Api, act: Act, data: KeyProof, purpose: Purpose) -> None:
    """Raise ``ProblemError`` unless the proof is one (403) and the address has not failed too often (429)."""
    network = throttled_network(act.ip)
    async with api.attempts.hold((_AGENT, network)):
        async with api.database.first() as connection:
            await refuse_when_throttled(connection, api.enrolment_throttle, Action.HOST_KEY_REFUSED, act, network)
        proof = Proof(data.host_id, data.key_id, data.timestamp, data.nonce, data.proof)
        tolerance = timedelta(seconds=api.settings.host_key_clock_tolerance)
        refusal = refuses_proof(_secret(api, data.key_id), purpose, proof, data.made_at(), act.at, tolerance=tolerance)
        if refusal is not None:
            raise await _refused(api, act, data, refusal)


async def _refused(api: Api, act: Act, data: KeyProof, refusal: KeyRefusal) -> ProblemError:
    async with api.database.connection() as connection:
        await act.write(
            connection, Action.HOST_KEY_REFUSED, data.host_id, reason=refusal.name.lower(), key_id=data.key_id
        )
    return ProblemError(Kind.HOST_KEY_REFUSED, refusal.value)


def _secret(api: Api, key_id: str) -> bytes:
    return derive_secret(api.settings.host_key_secret.get_secret_value().encode(), key_id)


router = Router("/host-keys", route_handlers=[rotate, confirm, verify], tags=["host keys"])
