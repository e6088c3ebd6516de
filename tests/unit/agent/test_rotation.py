"""The agent's half of replacing a key; the API is a fake that may fail at any step."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_agent import rotation
from infrawatch_agent.domain.keys import key_proof, rotation_due
from infrawatch_agent.identity import CurrentIdentity, Identity, load_identity, save_identity
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.rotation import KeyKeeper, RotationError, confirm, rotate
from infrawatch_agent.settings import Settings, parse
from infrawatch_api.domain.host_keys import Proof, proof_mac
from web import Handler, serving

SECRET = base64.b64encode(b"s" * 32).decode()
DAY = 86_400.0


class FakeApi(HTTPServer):
    """Gives keys; ``broken`` are operations that it answers with 503."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.broken: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]


class _Handler(Handler, BaseHTTPRequestHandler):
    server: FakeApi

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.path.rpartition("/")[2]
        self.server.asked.append((operation, body))
        broken = operation in self.server.broken
        number = len(self.server.asked)
        given = {"host_id": body["host_id"], "key_id": f"{number:032x}", "secret": SECRET}
        answer = json.dumps({"detail": "come back later"} if broken else given).encode()
        self.answer(503 if broken else 200, answer)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    with serving(server):
        yield server


@pytest.fixture
def settings(api: FakeApi, tmp_path: Path) -> Settings:
    made = parse({"INFRAWATCH_STATE_DIRECTORY": str(tmp_path), "INFRAWATCH_API_URL": api.url})
    save_identity(made, Identity("host", "a" * 32, SECRET, issued_at=1000.0))
    return made


def present(settings: Settings) -> Identity:
    identity = load_identity(settings)
    assert identity
    return identity


def test_the_proof_is_the_one_that_the_api_computes() -> None:
    proof = Proof("host", "k" * 32, "2026-11-25T12:00:00+00:00", "n" * 32, "")
    made = key_proof(b"secret", "rotate", proof.host_id, proof.key_id, proof.timestamp, proof.nonce)
    assert made == proof_mac(b"secret", "rotate", proof)


def test_the_new_key_is_saved_and_then_confirmed_with_itself(api: FakeApi, settings: Settings) -> None:
    rotate(settings)
    assert api.operations() == ["rotate", "confirm"]
    assert [body["key_id"] for _, body in api.asked] == ["a" * 32, f"{1:032x}"]
    assert SECRET not in json.dumps([body for _, body in api.asked])
    identity = present(settings)
    assert (identity.key_id, identity.confirmed) == (f"{1:032x}", True)
    assert identity.issued_at is not None
    assert identity.issued_at > 1000


def test_an_api_that_refuses_leaves_the_present_key_in_use(api: FakeApi, settings: Settings) -> None:
    api.broken = {"rotate"}
    with pytest.raises(RotationError, match="present one stays in use: come back later"):
        rotate(settings)
    assert present(settings).key_id == "a" * 32


def test_a_crash_before_the_key_is_saved_leaves_the_present_one_and_a_new_attempt_succeeds(
    api: FakeApi, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = iter([True, False])

    def save(settings: Settings, identity: Identity) -> None:
        if not next(saves, True):
            raise KeyboardInterrupt
        save_identity(settings, identity)

    monkeypatch.setattr(rotation, "save_identity", save)
    with pytest.raises(KeyboardInterrupt):
        rotate(settings)
    assert present(settings).key_id == "a" * 32
    rotate(settings)
    assert [body["key_id"] for operation, body in api.asked if operation == "rotate"] == ["a" * 32] * 2
    assert present(settings).confirmed


def test_a_disk_that_takes_nothing_costs_no_key(
    api: FakeApi, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rotation, "save_identity", save)
    with pytest.raises(RotationError, match="No space left"):
        rotate(settings)
    assert api.asked == []


async def test_a_confirmation_that_failed_is_made_later_by_the_running_agent(api: FakeApi, settings: Settings) -> None:
    api.broken = {"confirm"}
    with pytest.raises(RotationError, match="the old one is not ended yet"):
        rotate(settings)
    assert not present(settings).confirmed
    keeper = KeyKeeper(settings, Metrics(), lambda: 1000.0)
    await keeper.look()
    assert "not ended yet" in str(keeper.problem)
    api.broken = set()
    await keeper.look()
    assert present(settings).confirmed
    assert confirm(settings) == present(settings)
    assert str(keeper.problem) == "None"
    assert api.operations() == ["rotate", "confirm", "confirm", "confirm"]


async def test_the_running_agent_replaces_its_key_when_that_is_due(api: FakeApi, settings: Settings) -> None:
    times = iter([1000.0, 1000 + 80 * DAY, 1000 + 90 * DAY])
    keeper = KeyKeeper(settings, Metrics(), lambda: next(times))
    for _ in range(2):
        await keeper.look()
        assert api.asked == []
    await keeper.look()
    assert api.operations() == ["rotate", "confirm"]


async def test_a_failed_rotation_is_counted_and_the_agent_goes_on(api: FakeApi, settings: Settings) -> None:
    api.broken = {"rotate"}
    metrics = Metrics()
    keeper = KeyKeeper(settings, metrics, lambda: 1e10)
    await keeper.look()
    assert metrics.key_rotation_failures_total == 1
    assert "come back later" in str(keeper.problem)


async def test_without_a_greatest_age_keys_stay(api: FakeApi, settings: Settings, tmp_path: Path) -> None:
    never = parse(
        {
            "INFRAWATCH_STATE_DIRECTORY": str(tmp_path),
            "INFRAWATCH_API_URL": settings.api_url or "",
            "INFRAWATCH_KEY_MAX_AGE": "0",
        }
    )
    await KeyKeeper(never, Metrics(), lambda: 1e12).look()
    assert api.asked == []


def test_a_key_that_the_command_replaced_is_used_from_the_next_record_on(settings: Settings) -> None:
    current = CurrentIdentity(settings, present(settings))
    rotate(settings)
    assert current.get() == present(settings)


def test_an_identity_file_that_becomes_unreadable_leaves_the_last_one_in_use(
    settings: Settings, tmp_path: Path
) -> None:
    identity = present(settings)
    current = CurrentIdentity(settings, identity)
    (tmp_path / "identity.json").write_text("{")
    assert current.get() == identity


@given(st.floats(0, 2e9), st.floats(DAY, 400 * DAY), st.text(min_size=1))
def test_a_key_is_due_in_the_last_tenth_of_its_age(issued_at: float, max_age: float, host_id: str) -> None:
    due = rotation_due(issued_at, max_age, host_id)
    assert issued_at + 0.9 * max_age - 1 <= due <= issued_at + max_age + 1
