"""Apprise's URLs: which are taken, and how they are shown.

Apprise costs 20 MB and a fifth of a second, so it is loaded when the first of its URLs is met.
"""

import logging
import re
import threading
from functools import cache
from types import ModuleType
from typing import Any

from infrawatch_common.notices.confinement import confined

_MAX_URL = 4096
_SCHEMA = re.compile(r"([a-z0-9]{1,32})://.*", re.ASCII | re.IGNORECASE)
# Modules of services that act on the machine they run on, and of one that sends from threads of its own.
_LOCAL = frozenset({"blink1", "dbus", "glib", "gnome", "macosx", "syslog", "windows", "xmpp"})
# Arguments that name files of the machine.
_FILES = frozenset({"keyfile", "pgpprv", "pgppub", "subfile", "template"})
# Services that post to any address, whose user and path can be secrets.
_GENERIC = frozenset({"apprise_api", "custom_form", "custom_json", "custom_xml"})
# What they log has addresses with secrets.
_TALKATIVE = ("apprise", "charset_normalizer", "oauthlib", "requests", "requests_oauthlib", "urllib3")


class AppriseUrlError(Exception):
    """It is not taken; the message is a sentence without anything of the URL but its schema."""


_loading = threading.Lock()


def load_apprise() -> ModuleType:
    """The library, with all its services; what it logs goes nowhere. The first time takes a while."""
    with _loading:
        return _load_once()


@cache
def _load_once() -> ModuleType:
    for name in _TALKATIVE:
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())
    import apprise  # noqa: PLC0415

    apprise.manager_plugins.NotificationManager().load_modules()
    return apprise


@cache
def _asset() -> Any:
    """Nothing on disk, no redirects, no pictures from elsewhere, messages as they are."""
    return load_apprise().AppriseAsset(
        app_id="Infra-Watch",
        app_desc="Infra-Watch",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        image_path_mask=False,
        async_mode=False,
        http_redirects=False,
        interpret_escapes=False,
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
        allow_templates=False,
        secure_logging=True,
    )


def open_service(url: str) -> Any:
    """Apprise's object for the URL, a ``NotifyBase``. Raises ``AppriseUrlError``.

    To be called where this thread is confined: what the URL names is not to be trusted.
    """
    match = _SCHEMA.fullmatch(url)
    if match is None or len(url) > _MAX_URL or not url.isprintable():
        msg = f"it must be an Apprise URL such as mailto://… or slack://…, of at most {_MAX_URL} characters"
        raise AppriseUrlError(msg)
    apprise = load_apprise()
    parsed = apprise.plugins.url_to_dict(url, secure_logging=True)
    if parsed is None:
        known = match[1].lower() in apprise.manager_plugins.NotificationManager()
        raise AppriseUrlError(_not_understood(match[1].lower()) if known else f"Apprise knows no {match[1].lower()}://")
    schema = parsed["schema"]
    refusal = _refusal(schema, parsed)
    if refusal is not None:
        raise AppriseUrlError(refusal)
    service = apprise.Apprise.instantiate(parsed, asset=_asset())
    if service is None:
        raise AppriseUrlError(_not_understood(schema))
    return service


def _refusal(schema: str, parsed: dict[str, Any]) -> str | None:
    service = load_apprise().manager_plugins.NotificationManager()[schema]
    if _module(service) in _LOCAL:
        return f"{schema}:// is not taken: what it does on this machine cannot be confined"
    if not service.enabled:
        return f"{schema}:// is not taken: it needs programs that are not installed with Infra-Watch"
    named = sorted(_FILES & {name.lower() for name in parsed.get("qsd") or {}})
    if named:
        return f"{schema}:// is not taken with {named[0]}=, which names a file of the machine"
    return None


def _module(service: Any) -> str:
    return str(service.__module__).removeprefix("apprise.plugins.").partition(".")[0]


def _not_understood(schema: str) -> str:
    service = load_apprise().manager_plugins.NotificationManager()[schema]
    return f"it is not a URL of {service.service_name}; see {service.setup_url}"


def apprise_complaint(url: str) -> str | None:
    """What is wrong with an Apprise URL, in a sentence without its secrets; None if nothing is."""
    load_apprise()
    try:
        with confined(None):
            open_service(url)
    except AppriseUrlError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - one of a hundred services stumbled over what it was given
        return f"Apprise cannot use it ({type(error).__name__})"
    return None


def apprise_shown(url: str) -> str:
    """An Apprise URL without its secrets. Raises ``AppriseUrlError``."""
    load_apprise()
    with confined(None):
        service = open_service(url)
        shown, is_generic = str(service.url(privacy=True)).partition("?")[0], _module(type(service)) in _GENERIC
        del service
    if is_generic:
        scheme, _, rest = shown.partition("://")
        host, _, path = rest.partition("/")
        shown = f"{scheme}://{host.rpartition('@')[2]}/{'…' if path else ''}"
    return shown
