"""Who may talk to the review page: the person with the one-time link, in a browser on this machine, and nobody else.

What stands against what:
* another machine: the server listens on 127.0.0.1 alone (serve.py);
* another user or program of this machine: a link that works once, exchanged for a cookie that scripts cannot read;
* a web site in the same browser: the cookie is never sent across sites, and what changes something needs this origin;
* a web site whose name was pointed to 127.0.0.1 (DNS rebinding): only our own names are answered;
* text of a title, a file name or a city that is markup: it is escaped, and no script runs that is not a file of ours.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Of every answer."""

MOST_BYTES = 64_000
"""Of what a page sends: a decision has a few hundred."""

MOST_PATH = 2_000
"""Characters of an address: a clip's id is the name of a folder, which has 255 bytes at most."""

_OPEN = ("/open/", "/static/")
"""Answered without a session: the exchange of a link, and our own styles and scripts."""


@dataclass(frozen=True)
class Invitation:
    """A link that was not used yet."""

    token: str
    reviewer: str


class Sessions:
    """One-time links and the cookies they were exchanged for; in memory, gone with the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = f"cgtool-review-{port}"
        """Cookies are shared by all ports of a host: the name keeps servers apart."""
        self._invitations: list[Invitation] = []
        self._reviewers: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine may call us."""
        return tuple(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    def invite(self, reviewer: str) -> str:
        """A new link for a reviewer. It opens the page once."""
        invitation = Invitation(secrets.token_urlsafe(32), reviewer)
        with self._lock:
            self._invitations.append(invitation)
        return f"http://127.0.0.1:{self.port}/open/{invitation.token}"

    def redeem(self, token: str) -> str | None:
        """The value of the cookie for a token, which is used up by this; None for a wrong or a used one."""
        with self._lock:
            found = [one for one in self._invitations if _same(one.token, token)]
            if not found:
                return None
            self._invitations.remove(found[0])
            secret = secrets.token_urlsafe(32)
            self._reviewers[secret] = found[0].reviewer
            return secret

    def reviewer(self, secret: str) -> str | None:
        """Who a cookie was given to."""
        with self._lock:
            found = [name for known, name in self._reviewers.items() if _same(known, secret)]
        return found[0] if found else None


class Guard:
    """Stands before all routes: lets through what may pass, and puts HEADERS on every answer, refusals too.

    Routes find the reviewer's name in `request.state.reviewer`.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, refuse: Callable[[int, str], Response]) -> None:
        """
        Args:
            refuse: makes a page of a status and a sentence.
        """
        self.app, self.sessions, self.refuse = app, sessions, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._checked(scope)
        await (refused or self.app)(scope, receive, sending)

    def _checked(self, scope: Scope) -> Response | None:
        """None where the request may pass."""
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in self.sessions.hosts:
            return self.refuse(403, "This server answers only to its own address on this machine.")
        if len(scope["path"]) > MOST_PATH:
            return self.refuse(404, "That address is longer than any of this page.")
        if scope["method"] not in ("GET", "HEAD"):
            if not _same_origin(headers):
                return self.refuse(403, "That did not come from this page.")
            length = headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                return self.refuse(413, "That is more than a decision.")
        reviewer = self.sessions.reviewer(_cookie(headers, self.sessions.cookie))
        if reviewer is None and not str(scope["path"]).startswith(_OPEN):
            return self.refuse(
                403,
                "This browser has not been let in, or the server was started anew since. "
                "Open the link that `cgtool review` printed.",
            )
        scope.setdefault("state", {})["reviewer"] = reviewer
        return None


def _same_origin(headers: Headers) -> bool:
    """Whether a request was made by a page of ours: what the browser says of it must say so, and it must say it."""
    told: Iterable[bool] = [
        headers["origin"].lower() == f"http://{headers['host']}".lower() if "origin" in headers else True,
        headers["sec-fetch-site"] == "same-origin" if "sec-fetch-site" in headers else True,
    ]
    return all(told) and ("origin" in headers or "sec-fetch-site" in headers)


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())
