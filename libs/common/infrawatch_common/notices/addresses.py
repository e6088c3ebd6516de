"""Which addresses a message may go to, and what is wrong with a webhook's URL as text."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2048

# IANA's registries of special purpose; what they keep from the Internet, and what is for many receivers at once.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for kind, networks in {
        "loopback": "127.0.0.0/8 ::1/128",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 fec0::/10 64:ff9b:1::/48",
        "link-local": "169.254.0.0/16 fe80::/10",
        "multicast": "224.0.0.0/4 ff00::/8",
        "reserved": "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
        " 240.0.0.0/4 2001::/23 2001:db8::/32 3fff::/20",
    }.items()
    for network in networks.split()
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?")


class Targets(NamedTuple):
    """Private targets that are allowed all the same: host names in lower case, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """From host names, addresses and CIDRs. Raises ``ValueError`` with a sentence."""
        names: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError:
                wrong = _host_complaint(entry.lower())
                if wrong is not None:
                    msg = f"{entry!r} is neither a host name nor a network such as 10.1.0.0/16"
                    raise ValueError(msg) from None
                names.add(entry.lower())
        return cls(frozenset(names), tuple(networks))

    def refusal(self, address: str, host: str | None = None) -> str | None:
        """Why nothing goes to this address; None if it may. ``host`` is the name that it is the address of."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return f"{address!r} is not an address"
        reached = _reached(parsed)
        kind = _special(reached)
        if kind is None or (host is not None and host.lower() in self.names):
            return None
        if any(reached in network for network in self.networks if network.version == reached.version):
            return None
        return f"{address} is a {kind} address; allow it by INFRAWATCH_PRIVATE_TARGETS"


def _reached(address: Address) -> Address:
    """Where it leads: IPv6 carries IPv4 in several ways."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _special(address: Address) -> str | None:
    for network, kind in _SPECIAL:
        if address.version == network.version and address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return "reserved"
    return None


def webhook_complaint(url: str, targets: Targets | None = None) -> str | None:
    """What is wrong with the URL of a webhook, in a sentence; None if nothing is.

    With ``targets`` an address in it must be one that messages may go to. Names are resolved when something is sent.
    """
    if len(url) > MAX_URL:
        return f"it must have at most {MAX_URL} characters"
    if not url.isascii() or not url.isprintable() or any(one in url for one in ' "<>\\^`{|}'):
        return "it must be ASCII without spaces and quotes; write other characters as %XX"
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "it must begin with https:// or http://"
    if "#" in rest:
        return "it must have no fragment (#)"
    return _authority_complaint(re.split(r"[/?]", rest, maxsplit=1)[0], targets)


def _authority_complaint(authority: str, targets: Targets | None) -> str | None:
    if "@" in authority:
        return "it must have no user name or password; put what is secret into its path"
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not match["host"]:
        return "it must name a host"
    if match[2] is not None and not 1 <= int(match["port"] or 0) <= 65535:
        return "its port must be between 1 and 65535"
    host = match["host"].lower()
    wrong = _host_complaint(host)
    if wrong is not None or targets is None:
        return wrong
    literal = host.strip("[]")
    return targets.refusal(literal) if _is_address(literal) and literal not in targets.names else None


def _host_complaint(host: str) -> str | None:
    if host.startswith("["):
        return None if _is_address(host[1:-1]) and "%" not in host and ":" in host else "its IPv6 address is wrong"
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return "its host name is wrong"
    if any(label.startswith("xn--") for label in labels):
        return "its host name must not be an international one (xn--): those can look like another"
    # What ends in a number is an address to some programs and a name to others: 2130706433, 0x7f.1, 0177.0.0.1.
    if _NUMBER.fullmatch(labels[-1]) and not _is_address(host):
        return "its IPv4 address must be written as four decimal numbers"
    return None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
