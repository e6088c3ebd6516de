"""Roles, access, throttles, addresses, passwords, users, enrolments: the decisions, with tables and properties."""

import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.access import Owner, Refusal, judge_session, judge_token, may_log_in, use_is_worth_noting
from infrawatch_api.domain.client_address import UNKNOWN, client_address
from infrawatch_api.domain.enrolment import ClaimRefusal, Enrolment, claimed_host, refuses_host
from infrawatch_api.domain.inputs import is_host_id, is_request_id
from infrawatch_api.domain.passwords import PasswordRules
from infrawatch_api.domain.roles import Role, weaker
from infrawatch_api.domain.throttle import Throttle, throttled_network
from infrawatch_api.domain.users import ends_sessions, loses_last_admin, needs_first_admin
from infrawatch_api.passwords import strength

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
roles = st.sampled_from(Role)


@given(roles, roles)
def test_a_weaker_role_is_allowed_by_both(one: Role, other: Role) -> None:
    least = weaker(one, other)

    assert one.allows(least)
    assert other.allows(least)
    assert least in {one, other}


@given(roles, roles, roles)
def test_roles_are_a_total_order(a: Role, b: Role, c: Role) -> None:
    assert a.allows(b) or b.allows(a)
    assert not (a.allows(b) and b.allows(a)) or a is b
    assert not (a.allows(b) and b.allows(c)) or a.allows(c)


def test_roles_by_name() -> None:
    assert [(role, required) for role in Role for required in Role if role.allows(required)] == [
        ("viewer", "viewer"),
        ("operator", "viewer"),
        ("operator", "operator"),
        ("admin", "viewer"),
        ("admin", "operator"),
        ("admin", "admin"),
    ]


OWNER = Owner(Role.OPERATOR, disabled=False, one_time_until=None)


@pytest.mark.parametrize(
    ("owner", "used_at", "expires_at", "outcome"),
    [
        (OWNER, NOW, NOW + HOUR, Role.OPERATOR),
        (OWNER, NOW - HOUR + SECOND, NOW + SECOND, Role.OPERATOR),
        (OWNER, NOW - HOUR, NOW + HOUR, Refusal.IDLE),
        (OWNER, NOW, NOW, Refusal.EXPIRED),
        (Owner(Role.ADMIN, disabled=True, one_time_until=None), NOW, NOW + HOUR, Refusal.DISABLED),
        (Owner(Role.ADMIN, disabled=False, one_time_until=NOW), NOW, NOW + HOUR, Refusal.ONE_TIME_EXPIRED),
        (Owner(Role.ADMIN, disabled=False, one_time_until=NOW + SECOND), NOW, NOW + HOUR, Role.ADMIN),
    ],
)
def test_sessions(owner: Owner, used_at: datetime, expires_at: datetime, outcome: Role | Refusal) -> None:
    assert judge_session(owner, used_at=used_at, expires_at=expires_at, idle=HOUR, now=NOW) is outcome


@given(roles, roles)
def test_a_token_gives_at_most_the_role_of_its_owner(owned: Role, granted: Role) -> None:
    owner = Owner(owned, disabled=False, one_time_until=None)

    role = judge_token(owner, granted, expires_at=NOW + SECOND, now=NOW)

    assert isinstance(role, Role)
    assert owned.allows(role)
    assert granted.allows(role)
    assert judge_token(owner, granted, expires_at=NOW, now=NOW) is Refusal.EXPIRED
    disabled = Owner(owned, disabled=True, one_time_until=None)
    assert judge_token(disabled, granted, expires_at=NOW + SECOND, now=NOW) is Refusal.DISABLED


def test_who_may_log_in() -> None:
    assert may_log_in(OWNER, NOW)
    assert not may_log_in(Owner(Role.ADMIN, disabled=True, one_time_until=None), NOW)
    assert may_log_in(Owner(Role.ADMIN, disabled=False, one_time_until=NOW + SECOND), NOW)
    assert not may_log_in(Owner(Role.ADMIN, disabled=False, one_time_until=NOW), NOW)


def test_use_is_noted_once_in_a_while() -> None:
    assert use_is_worth_noting(None, NOW, HOUR)
    assert use_is_worth_noting(NOW - HOUR, NOW, HOUR)
    assert not use_is_worth_noting(NOW - HOUR + SECOND, NOW, HOUR)


@given(st.lists(st.integers(0, 2000)), st.integers(1, 8), st.integers(1, 1500))
def test_the_throttle_opens_exactly_when_it_says(ages: list[int], limit: int, window: int) -> None:
    throttle = Throttle(limit, timedelta(seconds=window))
    failures = [NOW - timedelta(seconds=age) for age in ages]

    wait = throttle.wait(failures, NOW)

    assert (wait > 0) == (sum(age < window for age in ages) >= limit)
    assert wait <= window
    if wait:
        assert throttle.wait(failures, NOW + timedelta(seconds=wait)) == 0
        assert throttle.wait(failures, NOW + timedelta(seconds=wait - 1)) > 0


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1/32"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("::1", "::/64")],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert throttled_network(address) == network


TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, '; DROP TABLE users"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", ["2001:dead::1"], "2001:dead::1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("", ["203.0.113.9"], UNKNOWN),
        (None, [], UNKNOWN),
    ],
)
def test_client_address(peer: str | None, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


@given(st.lists(st.text()), st.ip_addresses())
def test_nobody_chooses_an_address_without_a_trusted_proxy(forwarded: list[str], peer: object) -> None:
    assert client_address(str(peer), forwarded, ()) == client_address(str(peer), [], ())


RULES = PasswordRules(12, 3)


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("horses eat cucumber salad", None),
        ("x1y2z3a4b5c6", None),
        ("eleven char", "at least 12"),
        ("пароль из многих букв", None),
        ("a long sentence " * 16, None),
        ("y" + "xz" * 128, "at most 256"),
        ("Password1234", "easy to guess"),
        ("12345password!", "easy to guess"),
        ("passwordpassword", "easy to guess"),
        ("1qaz2wsx3edc", "easy to guess"),
        ("aaaaaaaaaaaaaaa", "easy to guess"),
        ("alice@example.org", "easy to guess"),
        ("alicealice99", "easy to guess"),
        ("Infrawatch-2026", "easy to guess"),
        ("alice rides a green horse", None),
    ],
)
def test_passwords(password: str, says: str | None) -> None:
    objection = RULES.objection(password, strength(password, "alice@example.org"))

    assert (objection is None) if says is None else (objection is not None and says in objection)


@given(
    st.text(min_size=64, max_size=64, alphabet=st.characters(codec="utf-8")).filter(lambda text: len(set(text)) > 20)
)
def test_every_varied_password_of_64_characters_is_taken(password: str) -> None:
    assert RULES.objection(password, strength(password, "alice@example.org")) is None


def test_the_most_common_passwords_are_refused_however_long_the_rules_let_them_be() -> None:
    lenient = PasswordRules(min_length=8, min_strength=3)
    for password in ("password", "12345678", "qwertyuiop", "football", "trustno1", "sunshine", "iloveyou", "princess"):
        assert lenient.objection(password, strength(password, "alice@example.org")) is not None


ME, OTHER = uuid.uuid4(), uuid.uuid4()


@pytest.mark.parametrize(
    ("admins", "role", "disabled", "loses"),
    [
        ({ME}, Role.ADMIN, False, False),
        ({ME}, Role.OPERATOR, False, True),
        ({ME}, Role.ADMIN, True, True),
        ({ME}, None, None, True),
        ({ME, OTHER}, None, None, False),
        ({OTHER}, None, None, False),
        (set(), Role.ADMIN, False, False),
    ],
)
def test_the_last_admin(admins: set[uuid.UUID], role: Role | None, disabled: bool | None, loses: bool) -> None:
    assert loses_last_admin(ME, admins, role=role, disabled=disabled) is loses


def test_which_changes_end_sessions() -> None:
    promoted = Owner(Role.ADMIN, disabled=False, one_time_until=None)
    disabled = Owner(Role.OPERATOR, disabled=True, one_time_until=None)

    assert not ends_sessions(OWNER, OWNER, password_reset=False)
    assert ends_sessions(OWNER, OWNER, password_reset=True)
    assert ends_sessions(OWNER, promoted, password_reset=False)
    assert ends_sessions(OWNER, disabled, password_reset=False)


def test_when_a_first_admin_is_needed() -> None:
    admin = Owner(Role.ADMIN, disabled=False, one_time_until=None)
    waiting = Owner(Role.ADMIN, disabled=False, one_time_until=NOW + SECOND)
    too_late = Owner(Role.ADMIN, disabled=False, one_time_until=NOW)
    disabled = Owner(Role.ADMIN, disabled=True, one_time_until=None)

    assert needs_first_admin([], NOW)
    assert needs_first_admin([too_late, disabled, OWNER], NOW)
    assert not needs_first_admin([too_late, admin], NOW)
    assert not needs_first_admin([waiting], NOW)


OPEN = Enrolment(None, NOW + SECOND, None)
BOUND = Enrolment("web-1", NOW + SECOND, None)


@pytest.mark.parametrize(
    ("enrolment", "wanted", "outcome"),
    [
        (OPEN, "web-1", "web-1"),
        (OPEN, None, ClaimRefusal.NO_HOST),
        (BOUND, None, "web-1"),
        (BOUND, "web-1", "web-1"),
        (BOUND, "web-2", ClaimRefusal.OTHER_HOST),
        (None, "web-1", ClaimRefusal.TOKEN),
        (Enrolment(None, NOW, None), "web-1", ClaimRefusal.TOKEN),
        (Enrolment(None, NOW + SECOND, NOW - HOUR), "web-1", ClaimRefusal.TOKEN),
    ],
)
def test_claims(enrolment: Enrolment | None, wanted: str | None, outcome: str) -> None:
    assert claimed_host(enrolment, wanted, NOW) == outcome


@pytest.mark.parametrize("has_keys", [True, False])
@pytest.mark.parametrize("has_data", [True, False])
def test_a_host_in_use_takes_an_enrolment_made_for_it(has_keys: bool, has_data: bool) -> None:
    taken = ClaimRefusal.TAKEN if has_keys or has_data else None

    assert refuses_host(OPEN, has_keys=has_keys, has_data=has_data) is taken
    assert refuses_host(BOUND, has_keys=has_keys, has_data=has_data) is None


@pytest.mark.parametrize("text", ["", "a\n", "a b", "-a", "ä", "x" * 129, "a/b", "a\0"])
def test_what_is_no_host_id(text: str) -> None:
    assert not is_host_id(text)
    assert is_host_id("web-1.example:8080_a")


@pytest.mark.parametrize("text", ["", "short", "x" * 65, "with space", "line\nend-1", "ümlaut-0001"])
def test_what_is_no_request_id(text: str) -> None:
    assert not is_request_id(text)
    assert is_request_id("request-0001")
