"""Messages through Apprise, which waits and is not trusted: each of its calls has a thread, and is confined there."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial, wraps
from typing import Any
from uuid import UUID

from infrawatch_alerting.domain.message import Mood
from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome
from infrawatch_alerting.sending.threads import BusyError, Threads
from infrawatch_common.logs import get_logger
from infrawatch_common.notices.addresses import Targets
from infrawatch_common.notices.apprise_urls import AppriseUrlError, load_apprise, open_service
from infrawatch_common.notices.confinement import Confinement, confined

_CHUNK = 10_240
_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")
_MAIL = "apprise.plugins.email"
# They render Markdown in what they are told is plain text.
_MARKDOWN_ALWAYS = ("apprise.plugins.discord", "apprise.plugins.mattermost")
# Its own markup cannot be escaped, but it can be told that there is none.
_PLAIN_ALWAYS = "apprise.plugins.slack"
# Words that call everybody of a chat; an invisible space keeps them from it.
_CALLS = re.compile(r"(@)(?=everyone|here|channel|all)|(<)(?=[!@#])", re.IGNORECASE)

_log = get_logger(__name__)


class AppriseSender:
    """Sends to Apprise URLs. Plain text arrives as it is, whatever the service makes of markup."""

    def __init__(self, targets: Targets, timeout: float, response_max: int, threads: Threads) -> None:
        self._targets = targets
        self._timeout = timeout
        self._response_max = response_max
        self._threads = threads

    async def send(self, channel_id: UUID, url: str, title: str, text: str, mood: Mood) -> Outcome:
        """Send one message."""
        until = time.monotonic() + self._timeout
        try:
            return await self._threads.run(
                ("apprise", channel_id), partial(self._send, url, title, text, mood, until), self._timeout
            )
        except BusyError:
            return Failed(f"not begun in {self._timeout:g} s: earlier messages of this channel still hang")
        except TimeoutError:
            return Failed(f"no answer in {self._timeout:g} s")

    def _send(self, url: str, title: str, text: str, mood: Mood, until: float) -> Outcome:
        _prepare()
        with confined(self._targets, until) as confinement, _hearing() as lines, _reading(self._response_max, until):
            try:
                name, arrived = self._deliver(url, title, text, mood)
            except AppriseUrlError as error:
                return Failed(f"its URL cannot be used: {error}")
            except Exception as error:  # noqa: BLE001 - a hundred services, and whatever they raise is a failure to send
                _log.warning("Apprise failed", error=type(error).__name__)
                return Failed(_refused(confinement) or f"it could not be sent ({type(error).__name__})")
        return Delivered() if arrived else Failed(_refused(confinement) or f"{name}: {_reason(lines)}")

    def _deliver(self, url: str, title: str, text: str, mood: Mood) -> tuple[str, bool]:
        """The service's name, and whether it took it. Nothing of it is left, as some log out when they go."""
        service = open_service(url)
        # Arguments of the URL could have it wait for hours.
        service.socket_read_timeout = min(service.socket_read_timeout, self._timeout)
        service.socket_connect_timeout = min(service.socket_connect_timeout, self._timeout)
        return str(service.service_name), _notify(service, title, text, mood)


def _notify(service: Any, title: str, text: str, mood: Mood) -> bool:
    """What the service says: whether it took it."""
    apprise = load_apprise()
    plain, markdown = apprise.NotifyFormat.TEXT, apprise.NotifyFormat.MARKDOWN
    module = type(service).__module__
    wanted = plain if module.startswith(_PLAIN_ALWAYS) else service.resolve_format(plain)
    convert = partial(apprise.conversion.convert_between, plain, wanted)
    if module.startswith(_MARKDOWN_ALWAYS):
        convert = partial(apprise.conversion.convert_between, plain, markdown)
    if not module.startswith(_MAIL):
        title, text = _without_calls(title), _without_calls(text)
    # Apprise converts a title itself only where it stands alone.
    is_in_text = service.title_maxlen <= 0 or module.startswith(_MARKDOWN_ALWAYS)
    return bool(
        service.notify(
            title=convert(title) if is_in_text else title,
            body=convert(text),
            notify_type=apprise.NotifyType(mood.value),
            body_format=wanted,
            body_passthrough=False,
            overflow="split",
        )
    )


def _without_calls(text: str) -> str:
    return _CALLS.sub("\\g<0>\u200b", text)


def _refused(confinement: Confinement) -> str | None:
    return f"refused: {confinement.refusals[0]}" if confinement.refusals else None


def _reason(lines: list[str]) -> str:
    """From what Apprise logged, which can hold secrets: the status of the last answer."""
    for line in reversed(lines):
        status = _STATUS.search(line)
        if status is not None:
            return f"answered {status[1]}"
        if "onnection" in line:
            return "no connection, or no whole answer"
    return "it did not take the message"


_here = threading.local()


class _Hearing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        lines: list[str] | None = getattr(_here, "lines", None)
        if lines is not None:
            lines.append(record.getMessage())


@contextmanager
def _hearing() -> Iterator[list[str]]:
    """What Apprise logs in this thread."""
    _here.lines = []
    try:
        yield _here.lines
    finally:
        _here.lines = None


@contextmanager
def _reading(most: int, until: float) -> Iterator[None]:
    """Answers in this thread have at most so many bytes, and end by then."""
    _here.bounds = most, until
    try:
        yield
    finally:
        _here.bounds = None


_preparing = threading.Lock()


def _prepare() -> None:
    with _preparing:
        _prepare_once()


@cache
def _prepare_once() -> None:
    """Load Apprise, hear what it logs, and bound what it reads: answers whole, however long, and through any proxy."""
    load_apprise()
    import requests  # noqa: PLC0415

    logging.getLogger("apprise").addHandler(_Hearing(logging.WARNING))
    adapter = requests.adapters.HTTPAdapter
    adapter.send = _bounded(adapter.send, requests.exceptions.ConnectionError)  # type: ignore[method-assign]


def _bounded(send: Callable[..., Any], error: type[Exception]) -> Callable[..., Any]:
    @wraps(send)
    def sent(*arguments: Any, **options: Any) -> Any:
        bounds: tuple[int, float] | None = getattr(_here, "bounds", None)
        if bounds is None:
            return send(*arguments, **options)
        # A proxy would connect for us, where nothing is checked.
        response = send(*arguments, **{**options, "proxies": {}})
        response.raw.stream = partial(_stream, response.raw, *bounds, error)
        return response

    return sent


def _stream(
    raw: Any, most: int, until: float, error: type[Exception], _amount: int = 0, decode_content: bool | None = None
) -> Iterator[bytes]:
    left = most
    while chunk := raw.read1(_CHUNK, decode_content):
        left -= len(chunk)
        if left < 0 or time.monotonic() > until:
            raw.close()
            msg = "the answer is too long"
            raise error(msg)
        yield chunk
