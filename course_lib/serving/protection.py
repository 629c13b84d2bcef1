"""What stands between a visitor and the class: signed links and cookies, forms that cannot be forged, limits, headers.

- A link and a cookie are signed, and hold the mark that stands in the data base: another mark there, and both are void.
- A form carries a word that is signed together with the cookie, and a request from another site's page is refused.
- No page has a script, and the headers forbid any, so nothing that a student wrote can run.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from itsdangerous import BadData, Signer, URLSafeSerializer
from starlette.datastructures import Headers, MutableHeaders

COOKIE = "course_serve"
SECURE_COOKIE = "__Host-course_serve"  # a browser takes this name over https only, and from this host only
KEPT = 30 * 24 * 3600  # seconds that a browser keeps the cookie
INSTRUCTOR = 0  # the number of the instructor, where students have theirs

MOST_OF_A_FORM = 8 << 20
DRAINED = 500 << 20  # bytes of a body that is too large that are read, so that the browser shows the answer
SECONDS_OF_A_BODY = 120

_POLICY = (
    "default-src 'none'; style-src {style}; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
OWN_STYLE = "'self'"
STYLE_IN_THE_PAGE = "'self' 'unsafe-inline'"  # of pages with cards and of the report; style alone runs nothing
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # No other site is told an address of ours. "no-referrer" would also hide from us where a form came from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BodyTooLarge(Exception):
    """A body with more bytes than are taken; its argument is how many there were."""


class BodyTooSlow(Exception):
    """A body that did not come in time."""


# --- signatures -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pass:
    """Who a link or a cookie says that a visitor is."""

    number: int
    mark: str
    word: str = ""


class Keys:
    """Signs links, cookies and forms with the server's secret. Nothing in them depends on a clock."""

    def __init__(self, secret: str) -> None:
        self._links = URLSafeSerializer(secret, salt="course serve: link")
        self._cookies = URLSafeSerializer(secret, salt="course serve: cookie")
        self._forms = Signer(secret, salt="course serve: form")

    def link(self, number: int, mark: str) -> str:
        """The last part of a personal link."""
        return str(self._links.dumps([number, mark]))

    def cookie(self, number: int, mark: str) -> str:
        """A new session's cookie."""
        return str(self._cookies.dumps([number, mark, secrets.token_hex(8)]))

    def of_link(self, text: str) -> Pass | None:
        """What a link says; None where it is not signed by us."""
        return _read(self._links, text, 2)

    def of_cookie(self, text: str) -> Pass | None:
        """What a cookie says; None where it is not signed by us."""
        return _read(self._cookies, text, 3)

    def form_word(self, cookie: str) -> str:
        """What a form of this session must carry."""
        return self._forms.get_signature(cookie).decode()

    def fits(self, cookie: str, word: str) -> bool:
        """Whether a form carries it."""
        return hmac.compare_digest(self.form_word(cookie).encode(), word.encode("utf-8", "replace"))


def _read(serializer: URLSafeSerializer, text: str, length: int) -> Pass | None:
    try:
        parts = serializer.loads(text[:1000])
    except (BadData, ValueError):
        return None
    if not isinstance(parts, list) or len(parts) != length or not isinstance(parts[0], int):
        return None
    return Pass(parts[0], *map(str, parts[1:]))


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a form was sent by another site's page."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc != headers.get("host", "")


# --- limits -----------------------------------------------------------------------------------------------------------


class Limit:
    """At most `burst` at once and then one per `seconds`, for each key; by a clock that cannot be set."""

    def __init__(self, burst: int, seconds: float) -> None:
        self.burst, self.seconds = burst, seconds
        self._used: dict[str, tuple[float, float]] = {}  # how many were used up, and when that was counted
        self._lock = threading.Lock()

    def wait(self, key: str) -> int:
        """Counts one; the seconds to wait where it is one too many, else 0."""
        now = time.monotonic()
        with self._lock:
            if len(self._used) > 10_000:
                self._used = {each: self._used[each] for each in self._used if self._left(each, now) > 0}
            used = self._left(key, now)
            if used > self.burst - 1:
                return max(1, round((used - self.burst + 1) * self.seconds))
            self._used[key] = (used + 1, now)
            return 0

    def _left(self, key: str, now: float) -> float:
        used, then = self._used.get(key, (0.0, now))
        return max(0.0, used - (now - then) / self.seconds)


class BodyLimit:
    """Ends a request whose body is too large or too slow. What is too large is read to its end and thrown away.

    Args:
        most: how many bytes are taken at an address.
    """

    def __init__(self, app: App, most: Callable[[str], int]) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, with a limit on what it receives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, count = self.most(scope["path"]), 0
        until = time.monotonic() + SECONDS_OF_A_BODY
        said = Headers(scope=scope).get("content-length", "")
        too_large = said.isdecimal() and int(said) > most

        async def limited() -> Message:
            nonlocal count
            while True:
                try:
                    async with asyncio.timeout(max(until - time.monotonic(), 0.01)):
                        message = await receive()
                except TimeoutError:
                    raise BodyTooSlow from None
                count += len(message.get("body", b""))
                if not too_large and count <= most:
                    return message
                if not message.get("more_body") or count > DRAINED:
                    raise BodyTooLarge(count)

        await self.app(scope, limited, send)


class SafeHeaders:
    """Adds the headers to every answer, errors included."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, its answers with headers."""

        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", policy())
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await self.app(scope, receive, safe if scope["type"] == "http" else send)


def policy(style: str = OWN_STYLE) -> str:
    """The content security policy of a page: no script, nothing from elsewhere, in no frame."""
    return _POLICY.format(style=style)


def as_log(**told: Any) -> str:
    """What happened as one line of JSON, so that nothing a visitor sent can look like another line."""
    return json.dumps(told, ensure_ascii=True)
