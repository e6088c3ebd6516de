"""Who is really asking, when there may be proxies in between."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
UNKNOWN = "0.0.0.0"  # noqa: S104 - no address to listen on: the peer of a connection that has none


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of the client.

    ``forwarded_for`` are the values of X-Forwarded-For from left to right. Anybody can send that header, so it is
    read from the right, and only as long as the address that appended to it is a trusted proxy.
    """
    address = _parse(peer or "")
    if address is None:
        return UNKNOWN
    claims = [claim.strip() for value in forwarded_for for claim in value.split(",")]
    while claims and _is_trusted(address, trusted):
        claimed = _parse(claims.pop())
        if claimed is None:
            break
        address = claimed
    return str(address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
