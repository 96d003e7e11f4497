"""The routes of the review page. Pages are made here, on the server; the script swaps them in (page/review.js).

    GET  /                            finds a clip that waits
    GET  /clip/<id>?frame=N           a clip; /label/<id>: its label view; /done
    GET  /frame/<id>/<position>.jpg   a picture
    POST /show                        a clip, frame or view by tab, as {address, title, html, said}
    POST /decide, /undo               likewise, after a decision; 409 where somebody else was faster
    POST /leave                       a tab was closed: its clip is free
    POST /invite                      a one-time link for another browser or reviewer

Clips and frames are found by ids that are in the tables, never by a path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..core.errors import MediaError
from .desk import Desk, Outcome
from .details import ClipDetail
from .frames import WIDTHS, Frames
from .site import Site, json_of
from .view import Views, clip_address, label_address
from .wishes import tab_of, text_of, wish_of

Handler = Callable[[Any, str], Response]
"""(what the page sent, reviewer) -> answer."""


def frame_route(frames: Frames, detail: Callable[[str], ClipDetail | None]) -> Route:
    """Pictures of clips.

    Args:
        detail: a clip by its id; None where there is none.
    """

    def frame(request: Request) -> Response:
        clip = detail(request.path_params["clip"])
        position = request.path_params["position"]
        if clip is None or position not in clip.paths:
            raise HTTPException(404)
        told = request.query_params.get("width", str(WIDTHS[-1]))
        if told not in map(str, WIDTHS):
            raise HTTPException(404)
        try:
            return Response(frames.jpeg(clip, position, int(told)), media_type="image/jpeg")
        except MediaError as exc:
            return PlainTextResponse(str(exc), 503)

    return Route("/frame/{clip:path}/{position:int}.jpg", frame)


def review_routes(site: Site, views: Views) -> list[BaseRoute]:
    """The routes of the review page."""
    desk, answers = views.desk, _Answers(site, views)

    def start(request: Request) -> Response:
        return site.page("start.html.j2", title="cgtool review", cities=views.cities(), apply=views.apply)

    def clip(request: Request) -> Response:
        clip_id = _known(desk, request.path_params["clip"])
        asked = request.query_params.get("frame", "")
        position = int(asked) if asked.isdecimal() and len(asked) < 10 else None
        return site.page("clip.html.j2", cities=views.cities(), **views.clip(clip_id, position))

    def label(request: Request) -> Response:
        clip_id = _known(desk, request.path_params["clip"])
        return site.page("label.html.j2", cities=views.cities(), **views.label(clip_id))

    def done(request: Request) -> Response:
        return site.page("done.html.j2", cities=views.cities(), view="done", title="cgtool review", **views.progress())

    return [
        Route("/", start),
        Route("/clip/{clip:path}", clip),
        Route("/label/{clip:path}", label),
        Route("/done", done),
        frame_route(views.frames, lambda clip_id: desk.detail(clip_id) if clip_id in desk else None),
        Route("/show", _posted(answers.show), methods=["POST"]),
        Route("/decide", _posted(answers.decide), methods=["POST"]),
        Route("/undo", _posted(answers.undo), methods=["POST"]),
        Route("/leave", _posted(answers.leave), methods=["POST"]),
        Route("/invite", _posted(answers.invite), methods=["POST"]),
    ]


class _Answers:
    """What the script is answered."""

    def __init__(self, site: Site, views: Views) -> None:
        self.site, self.views, self.desk = site, views, views.desk

    def show(self, sent: Any, reviewer: str) -> Response:
        """A clip, its neighbour in the queue, or the first that waits."""
        tab, label = tab_of(sent), sent.get("view") == "label"
        clip_id = sent.get("clip")
        if clip_id is None:
            clip_id = self.desk.waiting(tab)
            return self._page(Outcome("", clip_id, self.desk.shown(clip_id) if clip_id else 0), tab)
        _known(self.desk, clip_id)
        step = sent.get("step", 0)
        position = sent.get("frame")
        if step in (-1, 1):
            beside = self.desk.beside(clip_id, step)
            if beside is None:
                return JSONResponse({"said": f"This is the {'first' if step < 0 else 'last'} clip."})
            clip_id, position = beside, None
        self.desk.hold(clip_id, tab)
        return self._page(
            Outcome("", clip_id, position if type(position) is int else self.desk.shown(clip_id), label), tab
        )

    def decide(self, sent: Any, reviewer: str) -> Response:
        """Take a decision."""
        wish = wish_of(sent)
        _known(self.desk, wish.clip_id)
        return self._page(self.desk.decide(wish, reviewer), wish.tab)

    def undo(self, sent: Any, reviewer: str) -> Response:
        """Take the last one back."""
        tab = tab_of(sent)
        return self._page(self.desk.undo(tab, reviewer), tab)

    def leave(self, sent: Any, reviewer: str) -> Response:
        """A tab was closed."""
        self.desk.leave(tab_of(sent))
        return JSONResponse({"said": ""})

    def invite(self, sent: Any, reviewer: str) -> Response:
        """A link for somebody else."""
        name = text_of(sent, "reviewer").strip()[:100] or reviewer
        return JSONResponse({"said": f"A link for {name}; it opens once.", "link": self.site.sessions.invite(name)})

    def _page(self, outcome: Outcome, tab: str) -> Response:
        if outcome.clip_id is None:
            values = {"view": "done", "title": "cgtool review", **self.views.progress()}
            address, template = "/done", "_done.html.j2"
        elif outcome.label:
            values = self.views.label(outcome.clip_id, tab)
            address, template = label_address(outcome.clip_id), "_label.html.j2"
        else:
            values = self.views.clip(outcome.clip_id, outcome.position, tab)
            address, template = clip_address(outcome.clip_id, values["position"]), "_clip.html.j2"
        html = self.site.text(template, **values)
        answer = {"said": outcome.said, "address": address, "title": values["title"], "html": html}
        return JSONResponse(answer, 409 if outcome.conflict else 200)


def _known(desk: Desk, clip_id: Any) -> str:
    if not isinstance(clip_id, str) or clip_id not in desk:
        raise HTTPException(404)
    return clip_id


def _posted(answer: Handler) -> Any:
    async def posted(request: Request) -> Response:
        return await run_in_threadpool(answer, await json_of(request), request.state.reviewer)

    return posted
