"""Records that no service can use, of every kind, and the reason that each one's dead letter must carry."""

from typing import Any

from records import body


def poisons(good: dict[str, Any]) -> dict[str, tuple[bytes | None, str]]:
    """Kind → body and the reason that its dead letter must carry."""
    value = body(good)
    return {
        "bad JSON": (value[:-1], "malformed"),
        "NUL in a string": (body({**good, "host_id": "host\0"}), "invalid"),
        "lone surrogate": (value.replace(b'"host-0"', b'"\\ud800"'), "malformed"),
        "NaN": (value.replace(b"12.5", b"NaN"), "invalid"),
        "1e400": (value.replace(b"12.5", b"1e400"), "invalid"),
        "integer beyond 64 bits": (body({**good, "uptime": 2**64}), "invalid"),
        "depth 25,000, as deep as the largest record can be": (
            value[:-1] + b',"x":' + b"[" * 25_000 + b"]" * 25_000 + b"}",
            "malformed",
        ),
        "duplicate keys": (value.replace(b'"cpu":12.5', b'"cpu":12.5,"cpu":1.0'), "duplicate_keys"),
        "wrong type": (body({**good, "cpu": "12.5"}), "invalid"),
        "not UTF-8": (b"\xff\xfe" + value, "malformed"),
        "empty": (b"", "empty"),
        "tombstone": (None, "empty"),
    }


def snapshot_poisons(good: dict[str, Any]) -> dict[str, tuple[bytes | None, str]]:
    """The same of ``snapshots.snapshot``, which has a variable LANG."""
    value = body(good)
    lang = f'"LANG":"{good["env_vars"]["LANG"]}"'.encode()
    assert lang in value
    many = {f"V{number}": "x" for number in range(50_000)}
    return {
        "bad JSON": (value[:-1], "malformed"),
        "NUL in a string": (value.replace(lang, b'"LANG":"a\\u0000b"'), "invalid"),
        "lone surrogate": (value.replace(lang, b'"LANG":"\\ud800"'), "malformed"),
        "NaN": (value.replace(lang, b'"LANG":NaN'), "invalid"),
        "1e400": (value.replace(lang, b'"LANG":1e400'), "invalid"),
        "integer beyond 64 bits": (body({**good, "agent": {**good["agent"], "sequence": 2**64}}), "invalid"),
        "depth 1,000,000, as deep as the largest record can be": (
            value[:-1] + b',"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
            "malformed",
        ),
        "duplicate keys": (value.replace(lang, lang + b"," + lang), "duplicate_keys"),
        "wrong type": (body({**good, "packages": [*good["packages"]]}), "invalid"),
        "a package without version": (body({**good, "packages": {"dpkg": {"openssl": None}}}), "invalid"),
        "50,000 variables": (body({**good, "env_vars": many}), "too_large"),
        "not UTF-8": (b"\xff\xfe" + value, "malformed"),
        "empty": (b"", "empty"),
        "tombstone": (None, "empty"),
    }


class BadName(str):
    """The name of a header that is sent as bytes that are not UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002
        return b"na\xff\xfeme"
