import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from infrawatch_alerting.sending import Delivered, Failed, Senders
from infrawatch_alerting.settings import Settings
from infrawatch_common.notices.sealing import Secrets
from receivers import receiving

CHANNEL, MESSAGE = UUID(int=1), UUID(int=2)
BODY: dict[str, Any] = {"type": "test", "items": [], "title": "a title", "text": "a text"}


def settings(**changes: Any) -> Settings:
    return Settings.model_validate(
        {
            "database_url": "postgresql://role@localhost/infrawatch",
            "database_password": "not used",
            "host_key_secret": "not used, but long enough to be one",
            "private_targets": "127.0.0.1, alerts.internal",
        }
        | changes
    )


@pytest.fixture
def senders() -> Senders:
    return Senders(settings(), clock=lambda: datetime(2026, 11, 27, 3, 0, tzinfo=UTC))


async def test_a_webhook_gets_the_whole_message(senders: Senders) -> None:
    async with receiving() as receiver:
        assert await senders.send("webhook", Secrets(receiver.url), MESSAGE, CHANNEL, BODY) == Delivered()
    await senders.close()
    body = json.loads(receiver.received[0].body)
    assert body == BODY
    assert receiver.received[0].headers["webhook-timestamp"] == "1795748400"
    assert "webhook-signature" not in receiver.received[0].headers


async def test_apprise_gets_title_and_text(senders: Senders) -> None:
    async with receiving() as receiver:
        url = receiver.url.replace("http://", "json://")
        assert await senders.send("apprise", Secrets(url), MESSAGE, CHANNEL, BODY) == Delivered()
    body = json.loads(receiver.received[0].body)
    assert (body["title"], body["message"], body["type"]) == ("a title", "a text", "info")


async def test_a_ping_is_guarded_too(senders: Senders) -> None:
    async with receiving() as receiver:
        assert await senders.ping(receiver.url + "/ping") == Delivered()
    assert receiver.received[0].method == "GET"
    refused = await senders.ping("http://127.0.0.2/")
    assert isinstance(refused, Failed)
    assert refused.detail.startswith("refused: 127.0.0.2")


def test_private_targets_are_names_and_networks() -> None:
    targets = settings(private_targets="10.1.0.0/16,Alerts.internal").targets
    assert targets.refusal("10.1.2.3") is None
    assert targets.refusal("10.2.0.1", "alerts.internal") is None
    assert settings(private_targets="").targets.refusal("10.1.2.3")


@pytest.mark.parametrize("wrong", ["*.internal", "10.0.0.1/8", "http://alerts"])
def test_private_targets_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is neither a host name nor a network"):
        settings(private_targets=wrong)


def test_a_dead_man_s_url_that_is_wrong_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="must have no user name"):
        settings(dead_man_url="https://user:CANARY@example.com")
    assert "CANARY" not in repr(settings(dead_man_url="https://example.com/CANARY"))
