"""Webhooks: our JSON, signed, to an address that was checked."""

import asyncio
import json
import os
import re
import socket
import ssl
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome
from infrawatch_alerting.sending.threads import Threads
from infrawatch_common.notices.addresses import Targets, webhook_complaint
from infrawatch_common.notices.sealing import Secrets
from infrawatch_common.notices.signing import signature

_AGENT = {"User-Agent": "Infra-Watch", "Accept-Encoding": "identity"}
_HOST = re.compile(r"[a-z0-9.-]{1,253}", re.IGNORECASE)

Lookup = Callable[[str, int], Sequence[str]]


def lookup(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system's resolver. Raises ``OSError``."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class _RefusedError(Exception):
    """The message says why nothing is sent there."""


class _Checked(AbstractResolver):
    """Answers with addresses that were checked, and looks nothing up."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return None


class WebhookSender:
    """Sends to URLs that are somebody else's choice.

    A name is looked up once for each attempt, all its addresses are checked, and the connection goes to one of them.
    Redirects are not followed, proxies of the environment not used, and nothing of an answer is kept but its status.
    """

    def __init__(
        self, targets: Targets, timeout: float, response_max: int, threads: Threads, lookup: Lookup = lookup
    ) -> None:
        self._targets = targets
        self._timeout = timeout
        self._response_max = response_max
        self._threads = threads
        self._lookup = lookup

    async def send(
        self, channel_id: UUID, secrets: Secrets, notification_id: UUID, message: Mapping[str, Any], now: datetime
    ) -> Outcome:
        """Post the message as it is, signed with the time, which is now."""
        body = json.dumps(message, separators=(",", ":")).encode()
        identifier, timestamp = str(notification_id), int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": identifier,
            "webhook-id": identifier,
            "webhook-timestamp": str(timestamp),
        }
        if secrets.signing_secret is not None:
            try:
                headers["webhook-signature"] = signature(secrets.signing_secret, identifier, timestamp, body)
            except ValueError as error:
                return Failed(str(error))
        return await self._request("POST", secrets.url, channel_id, headers, body)

    async def get(self, url: str) -> Outcome:
        """Ask for it, and see whether the answer is that all is well."""
        return await self._request("GET", url, url, {}, None)

    async def _request(
        self, method: str, url: str, key: Hashable, headers: Mapping[str, str], body: bytes | None
    ) -> Outcome:
        complaint = webhook_complaint(url)
        if complaint is not None:
            return Failed(f"refused: its URL is wrong: {complaint}")
        outcome: Outcome | None = None
        target = URL(url, encoded=True)
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._addresses(key, target)
                async with (
                    self._session(target, addresses) as session,
                    session.request(
                        method, target, headers={**_AGENT, **headers}, data=body, allow_redirects=False
                    ) as response,
                ):
                    outcome = _judge(response.status, response.headers.get("Location"))
                    await self._drain(response)
        except (TimeoutError, _RefusedError, OSError, aiohttp.ClientError) as error:
            # The status decides, whatever becomes of the rest of the answer.
            return outcome or Failed(_sentence(error, target.host or "", self._timeout))
        return outcome

    async def _addresses(self, key: Hashable, target: URL) -> Sequence[str]:
        host, port = target.host or "", target.port or 0
        try:
            addresses: Sequence[str] = [str(ip_address(host))]
        except ValueError:
            try:
                addresses = await self._threads.run(("lookup", key), partial(self._lookup, host, port), self._timeout)
            except socket.gaierror as error:
                msg = f"no address was found for {host}"
                raise _RefusedError(msg) from error
        for address in addresses:
            refusal = self._targets.refusal(address, host)
            if refusal is not None:
                msg = f"refused: {refusal}"
                raise _RefusedError(msg)
        return addresses

    def _session(self, target: URL, addresses: Sequence[str]) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_Checked(addresses),
                use_dns_cache=False,
                force_close=True,
                ssl=self._tls if target.scheme == "https" else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Read what may be read of the answer, as some receivers give up when nobody does."""
        left = self._response_max
        while left > 0 and (chunk := await response.content.read(min(left, 16_384))):
            left -= len(chunk)


def _sentence(error: Exception, host: str, timeout: float) -> str:
    """What went wrong, without the URL beyond its host."""
    match error:
        case _RefusedError():
            text = str(error)
        case TimeoutError():
            text = f"no answer in {timeout:g} s"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as wrong):
            text = f"the certificate of {host} is not valid: {wrong.verify_message}"
        case aiohttp.ClientSSLError():
            text = f"{host} does not speak TLS as it should"
        case aiohttp.ClientConnectorError(os_error=OSError(errno=int() as number)):
            text = f"no connection to {host}: {os.strerror(number).lower()}"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            text = "the connection ended without an answer"
        case aiohttp.ClientResponseError():
            text = "what it answered is not HTTP"
        case _:
            text = f"it could not be sent ({type(error).__name__})"
    return text


def _judge(status: int, location: str | None) -> Outcome:
    if 200 <= status < 300:
        return Delivered()
    if location is not None and 300 <= status < 400:
        return Failed(f"answered {status}, and redirects are not followed{_towards(location)}")
    return Failed(f"answered {status}")


def _towards(location: str) -> str:
    try:
        host = URL(location).host
    except ValueError:
        return ""
    return f" (it points to {host})" if host and _HOST.fullmatch(host) else ""
