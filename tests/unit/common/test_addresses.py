from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.notices.addresses import Targets, webhook_complaint

NOWHERE = Targets()
PRIVATE = [
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
    *("224.0.0.0/4", "240.0.0.0/4", "0.0.0.0/8"),
]


def within(network: str) -> st.SearchStrategy[IPv4Address]:
    parsed = ip_network(network)
    first, last = int(parsed.network_address), int(parsed.broadcast_address)
    return st.integers(first, last).map(IPv4Address)


private = st.sampled_from(PRIVATE).flatmap(within)


def in_ipv6(address: IPv4Address) -> list[IPv6Address]:
    """Mapped, NAT64, 6to4, and IPv4-compatible."""
    inner = int(address)
    return [IPv6Address(high | inner) for high in (0xFFFF << 32, 0x64FF9B << 96, 0)] + [
        IPv6Address(0x2002 << 112 | inner << 80 | 1)
    ]


@given(private)
def test_nothing_goes_to_private_addresses_in_whatever_form(address: IPv4Address) -> None:
    for form in (address, *in_ipv6(address)):
        assert NOWHERE.refusal(str(form)), form


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_goes_where_the_internet_does_not_reach(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert NOWHERE.refusal(str(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_the_internet_is_reached(address: str) -> None:
    assert NOWHERE.refusal(address) is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.0.0.1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("fd00::1", "private"),
        ("100.64.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("255.255.255.255", "reserved"),
        ("ff02::1", "multicast"),
        ("::", "reserved"),
        ("2001::1", "reserved"),
        ("64:ff9b:1::1", "private"),
    ],
)
def test_a_refusal_says_what_kind_of_address_it_is_and_what_to_do(address: str, kind: str) -> None:
    assert NOWHERE.refusal(address) == f"{address} is a {kind} address; allow it by INFRAWATCH_PRIVATE_TARGETS"


@given(private)
def test_what_is_allowed_is_reached_and_its_neighbours_are_not(address: IPv4Address) -> None:
    allowed = Targets.parse([f"{address}/32"])
    assert allowed.refusal(str(address)) is None
    assert allowed.refusal(f"::ffff:{address}") is None
    neighbour = IPv4Address(int(address) ^ 1)
    assert allowed.refusal(str(neighbour))


def test_an_allowed_name_allows_its_addresses_under_that_name_alone() -> None:
    allowed = Targets.parse(["Alerts.internal", "10.1.0.0/16"])
    assert allowed.refusal("192.168.1.1", "alerts.INTERNAL") is None
    assert allowed.refusal("192.168.1.1", "evil.example")
    assert allowed.refusal("192.168.1.1")
    assert allowed.refusal("10.1.2.3", "evil.example") is None


@pytest.mark.parametrize("entry", ["*.internal", "10.0.0.1/8", "http://a", "a b", "-", "0x7f.1", ""])
def test_what_is_no_target_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a host name nor a network"):
        Targets.parse([entry])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://example.com",
        "HTTPS://Example.com:8443/a?b=c%20d",
        "https://hooks.example.com/T1/B2/x?y",
        "http://alerts_1:9000/x",
        "http://[2606:4700::1111]:8080/x",
        "http://10.0.0.1/x",
    ],
)
def test_usable_urls(url: str) -> None:
    assert webhook_complaint(url) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.com", "begin with https:// or http://"),
        ("file:///etc/passwd", "begin with https:// or http://"),
        ("example.com", "begin with https:// or http://"),
        ("https:example.com", "begin with https:// or http://"),
        ("https://user:password@example.com/", "no user name"),
        ("https://example.com@10.0.0.1/", "no user name"),
        ("https://example.com/#x", "no fragment"),
        ("https://example.com#@10.0.0.1/", "no fragment"),
        ("https:///x", "name a host"),
        ("https://?x", "name a host"),
        ("https://:80/", "name a host"),
        ("https://a:b:c/", "name a host"),
        ("https://example.com:0/", "port"),
        ("https://example.com:/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:99999999/", "name a host"),
        ("https://exa mple.com/", "ASCII without spaces"),
        ("https://example.com/\r\nX: y", "ASCII without spaces"),
        ("https://example.com\\@10.0.0.1/", "ASCII without spaces"),
        ("https://exämple.com/", "ASCII without spaces"),
        ("https://ⓔxample.com/", "ASCII without spaces"),
        ("https://xn--exmple-cua.com/", "xn--"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://0x7f.1/", "four decimal numbers"),
        ("https://0177.0.0.1/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://10.0.0.0x1/", "four decimal numbers"),
        ("https://[::1%25eth0]/", "IPv6"),
        ("https://[::1/", "name a host"),
        ("https://[10.0.0.1]/", "IPv6"),
        ("https://example..com/", "host name is wrong"),
        ("https://example.com./", "host name is wrong"),
        ("https://-example.com/", "host name is wrong"),
        ("https://" + "a" * 64 + ".com/", "host name is wrong"),
        ("https://example.com/" + "a" * 2048, "at most 2048"),
    ],
)
def test_a_complaint_says_what_is_wrong(url: str, words: str) -> None:
    complaint = webhook_complaint(url)
    assert complaint is not None
    assert words in complaint


def test_an_address_in_a_url_must_be_one_that_messages_go_to() -> None:
    assert "private address" in (webhook_complaint("http://10.0.0.1/x", NOWHERE) or "")
    assert "loopback address" in (webhook_complaint("http://[::ffff:127.0.0.1]/x", NOWHERE) or "")
    assert webhook_complaint("http://10.0.0.1/x", Targets.parse(["10.0.0.0/8"])) is None
    assert webhook_complaint("http://alerts.internal/x", NOWHERE) is None
