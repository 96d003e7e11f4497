"""The shell that the pages of a review share: the guard before them, templates, styles and scripts, the way in.

A page is a list of routes. `application` puts it behind the guard; `Site.page` renders its templates (page/*.html.j2),
which extend base.html.j2; page/draw.js draws boxes over frames for any of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ..core.errors import CgtoolError, StopError
from ..stats.page.theme import DARK, LIGHT, css
from .security import Guard, Sessions

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(__package__ or "", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Site:
    """What routes need to answer with pages."""

    sessions: Sessions
    templates: Environment = field(default_factory=_environment)

    def text(self, template: str, **values: Any) -> str:
        """A template of page/ as text; every value is escaped."""
        return self.templates.get_template(template).render(**values)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A template as an answer."""
        return HTMLResponse(self.text(template, **values), status)

    def message(self, status: int, sentence: str) -> HTMLResponse:
        """A page that says one thing."""
        return self.page("message.html.j2", status, title="cgtool review", sentence=sentence)


def application(site: Site, routes: Sequence[BaseRoute]) -> Guard:
    """Routes behind the guard, with the way in, the styles and scripts, and errors in words.

    The handlers of `routes` may raise CgtoolError: a page gets it as a page, a script as {"said": ...}.
    """
    shared = [Route("/open/{token}", _opening(site)), Route("/static/{name}", _static())]

    async def failed(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, CgtoolError)
        status = 507 if isinstance(exc, StopError) else 400
        return _answer(site, request, status, str(exc))

    async def unknown(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        return _answer(site, request, exc.status_code, _WORDS.get(exc.status_code, exc.detail))

    async def broken(request: Request, exc: Exception) -> Response:
        return _answer(site, request, 500, f"A fault of cgtool ({type(exc).__name__}): nothing was decided.")

    handlers: Any = {CgtoolError: failed, HTTPException: unknown, Exception: broken}
    app = Starlette(routes=[*shared, *routes], exception_handlers=handlers)
    return Guard(app, site.sessions, site.message)


_WORDS = {404: "There is no such page, clip or frame here.", 405: "This cannot be asked for in this way."}


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object that a script of ours sent.

    Raises:
        HTTPException: it is something else, or nothing that could be written again; in words.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Only JSON is taken.")
    try:
        sent = await request.json()
        json.dumps(sent, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:  # "\ud800" is half a character
        raise HTTPException(400, "That holds half a character, which no file can hold.") from exc
    except RecursionError as exc:
        raise HTTPException(400, "That is nested too deeply.") from exc
    except ValueError as exc:
        raise HTTPException(400, "That is no JSON.") from exc
    if not isinstance(sent, dict):
        raise HTTPException(400, "That is no JSON object.")
    return sent


def _answer(site: Site, request: Request, status: int, sentence: str) -> Response:
    if request.method == "POST":
        return JSONResponse({"said": sentence}, status)
    if request.url.path.endswith(".jpg"):
        return PlainTextResponse(sentence, status)
    return site.message(status, sentence)


def _opening(site: Site) -> Any:
    def opening(request: Request) -> Response:
        """Exchange a one-time link for a session."""
        if request.method != "GET" or "prefetch" in request.headers.get("sec-purpose", ""):
            raise HTTPException(405)  # whoever only looks ahead must not use the link up
        secret = site.sessions.redeem(request.path_params["token"])
        if secret is None:
            return site.message(
                403, "This link is wrong or was used before: it opens the page once. Ask the page for a new link."
            )
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A browser keeps a strict cookie back all through a redirect that another site's link began
            answer: Response = site.page("enter.html.j2", title="cgtool review")
        else:
            answer = RedirectResponse("/", 303)
        answer.set_cookie(site.sessions.cookie, secret, httponly=True, samesite="strict", path="/")
        return answer

    return opening


def _static() -> Any:
    """Styles and scripts, read once; a name that is not among them is not looked for on the disk."""
    folder = resources.files(__package__ or "") / "page"
    files = {
        entry.name: (entry.read_bytes(), _TYPES[f".{entry.name.rpartition('.')[2]}"])
        for entry in folder.iterdir()
        if f".{entry.name.rpartition('.')[2]}" in _TYPES
    }
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {css(DARK)} }} }}"
    files["theme.css"] = (f":root {{ color-scheme: light dark; {css(LIGHT)} }}\n{dark}\n".encode(), "text/css")

    def static(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return Response(found[0], media_type=found[1])

    return static
