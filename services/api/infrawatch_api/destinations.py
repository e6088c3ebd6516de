"""Where channels send: which addresses there can be, what of them may be shown, and how they are kept."""

import asyncio
from urllib.parse import urlsplit

from infrawatch_api.api import Api
from infrawatch_api.domain.channels import ChannelKind
from infrawatch_api.problems import invalid_fields
from infrawatch_api.store.channels import Address
from infrawatch_common.notices.addresses import Targets, webhook_complaint
from infrawatch_common.notices.apprise_urls import apprise_complaint, apprise_shown
from infrawatch_common.notices.sealing import Secrets


async def sealed_address(api: Api, kind: ChannelKind, secrets: Secrets) -> Address:
    """The address as it is kept. Raises ``ProblemError`` (400) where nothing can be sent to it."""
    # A thread: Apprise takes half a second to load, and its services run code of their own.
    target = await asyncio.to_thread(_judged, kind, secrets.url, api.settings.targets)
    return Address(target, api.sealer.seal(secrets))


def _judged(kind: ChannelKind, url: str, targets: Targets) -> str:
    """What may be shown of a URL."""
    complaint = webhook_complaint(url, targets) if kind is ChannelKind.WEBHOOK else apprise_complaint(url)
    if complaint is not None:
        raise invalid_fields({"url": complaint})
    return webhook_shown(url) if kind is ChannelKind.WEBHOOK else apprise_shown(url)


def webhook_shown(url: str) -> str:
    """A URL without what may be secret, which the whole path of a webhook may be: its scheme, host and port."""
    parts = urlsplit(url)
    hidden = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{hidden}"
