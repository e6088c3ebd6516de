import time
from pathlib import Path
from typing import Any

import pytest

from infrawatch_common.notices.signing import signature


def test_the_example_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_no_secret_is_refused_without_being_told() -> None:
    with pytest.raises(ValueError, match=r"^the signing secret is not whsec_ and Base64$"):
        signature("whsec_CANARY!", "id", 17, b"")


def test_receivers_who_do_as_the_page_says_know_what_is_ours() -> None:
    page = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    is_ours = names["is_ours"]
    secret, other, now = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", int(time.time())

    def headers(timestamp: int) -> dict[str, str]:
        signed = signature(secret, "id", timestamp, b"body")
        return {"webhook-id": "id", "webhook-timestamp": str(timestamp), "webhook-signature": signed}

    assert is_ours(secret, headers(now), b"body")
    assert not is_ours(secret, headers(now), b"other")
    assert not is_ours(other, headers(now), b"body")
    assert not is_ours(secret, headers(now - 600), b"body")
