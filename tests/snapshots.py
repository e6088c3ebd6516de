"""Snapshots for tests, built the way an agent builds them; ``records`` has what makes messages of them."""

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from records import NOW

TOPIC = "infrawatch.snapshots.v1"

# As many as Debian has names; further ones get a number, as the versions of a library do.
_FORMS = (
    *("{}", "lib{}:amd64", "lib{}-dev:amd64", "{}-common", "{}-doc", "{}-data", "{}-utils", "python3-{}"),
    *("lib{}-perl", "golang-{}-dev", "gir1.2-{}", "fonts-{}", "ruby-{}", "{}-server", "{}-client", "node-{}"),
)
_STEMS = (
    *("accounts", "apparmor", "avahi", "bind", "bluez", "brotli", "cairo", "cron", "cups", "curl", "dbus", "django"),
    *("elfutils", "expat", "ffmpeg", "fontconfig", "freetype", "gdbm", "glib", "gnutls", "gpgme", "harfbuzz", "icu"),
    *("jansson", "kmod", "krb", "ldap", "llvm", "lvm", "mariadb", "modsecurity", "ncurses", "nettle", "nghttp"),
    *("openssl", "pam", "pango", "pcre", "perl", "pixman", "postgresql", "readline", "samba", "selinux", "sqlite"),
    *("systemd", "tiff", "unbound", "util-linux", "webkit", "xorg", "yaml", "zeromq", "zstd"),
)


def snapshot(host_id: str = "host-a", sequence: int = 0, timestamp: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """A valid snapshot, with some fields changed."""
    return {
        "id": str(uuid4()),
        "host_id": host_id,
        "timestamp": timestamp.isoformat().replace("+00:00", "Z"),
        "os_info": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.48+deb13-amd64",
        "packages": {"dpkg": {"openssl": "3.5.4-1~deb13u1", "libc6:amd64": "2.41-12"}},
        "env_vars": {"LANG": "C.UTF-8"},
        "host": {"name": host_id, "tags": {}},
        "agent": {"instance": "5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11", "sequence": sequence},
        **changes,
    }


def debian_packages(count: int, seed: int = 0) -> dict[str, str]:
    """Names and versions as dpkg lists them, about 40 bytes of JSON each; the same for the same seed.

    The names are the same for every seed.
    """
    chance = random.Random(seed)
    return {_name(number): _version(chance) for number in range(count)}


def upgraded(packages: Mapping[str, str], count: int, seed: int = 0) -> dict[str, str]:
    """The same packages, of which ``count`` have a later version; they must be ``debian_packages``."""
    chosen = random.Random(seed).sample(sorted(packages), count)
    return {**packages, **{name: _later(packages[name]) for name in chosen}}


def _name(number: int) -> str:
    turn, rest = divmod(number, len(_FORMS) * len(_STEMS))
    form, stem = divmod(rest, len(_STEMS))
    return _FORMS[form].format(f"{_STEMS[stem]}{turn or ''}")


def _version(chance: random.Random) -> str:
    epoch = f"{chance.randint(1, 3)}:" if chance.random() < 0.1 else ""
    upstream = ".".join(str(chance.randint(0, 30)) for _ in range(chance.randint(2, 4)))
    return f"{epoch}{upstream}-{chance.randint(1, 9)}{chance.choice('+~')}deb13u{chance.randint(1, 9)}"


def _later(version: str) -> str:
    before, mark, update = version.rpartition("u")
    return f"{before}{mark}{int(update) + 1}"
