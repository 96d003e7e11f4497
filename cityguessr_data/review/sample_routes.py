"""The page of a sample: one frame after the other, first to draw on, then with ours beside what was drawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from .sample_desk import SampleDesk
from .site import Site, json_of
from .wishes import tab_of


def sample_routes(site: Site, desk: SampleDesk) -> list[BaseRoute]:
    """The routes for `application`. `desk.finished` is set once a person has gone on from the last frame."""

    def start(request: Request) -> Response:
        n = desk.next()
        if n is not None:
            return RedirectResponse(f"/sample/{n}", 303)
        unshown = len(desk.unshown)
        return site.page("sample_done.html.j2", title="Sample finished", n_looked=desk.n_looked, n_unshown=unshown)

    def end(request: Request) -> Response:
        if desk.next() is None:
            desk.finished.set()
        return JSONResponse({"said": ""})

    def show(request: Request) -> Response:
        n = _number(request)
        frame, detail, seen = desk.frame(n), desk.detail(n), desk.seen(n)
        width_px, height_px = desk.frames.size_px(detail, frame.position)
        return site.page(
            "sample.html.j2",
            title=f"Frame {n + 1} of the sample",
            n=n,
            n_frames=desk.n_frames,
            n_looked=desk.n_looked,
            looked=seen.looked,
            width_px=width_px,
            height_px=height_px,
            clip_id=frame.clip_id,
            time_s=detail.times_s.get(frame.position),
            **_state(desk, n),
        )

    def picture(request: Request) -> Response:
        return Response(desk.jpeg(_number(request), request.state.reviewer), media_type="image/jpeg")

    def draw(n: int, sent: dict[str, Any], reviewer: str) -> str:
        desk.draw(n, sent, reviewer)
        return "Drawn. Go on with the next face, or finish the frame."

    def undo(n: int, sent: dict[str, Any], reviewer: str) -> str:
        desk.undo(n, tab_of(sent), reviewer)
        return "Took back the last box."

    def finish(n: int, sent: dict[str, Any], reviewer: str) -> str:
        desk.finish(n, tab_of(sent), reviewer)
        return "Finished: these are ours beside yours."

    def blur(n: int, sent: dict[str, Any], reviewer: str) -> str:
        count = desk.blur_missed(n, tab_of(sent), reviewer)
        return f"{count} missed face{'s' if count != 1 else ''} will be blurred by `cgtool review --apply`."

    return [
        Route("/", start),
        Route("/finished", end, methods=["POST"]),
        Route("/sample/{n:int}", show),
        Route("/sample/{n:int}.jpg", picture),
        *(
            Route(f"/sample/{{n:int}}/{name}", _deciding(desk, act), methods=["POST"])
            for name, act in {"draw": draw, "undo": undo, "finish": finish, "blur": blur}.items()
        ),
    ]


def _deciding(
    desk: SampleDesk, act: Callable[[int, dict[str, Any], str], str]
) -> Callable[[Request], Awaitable[Response]]:
    async def decide(request: Request) -> Response:
        n = _number(request)
        said = await run_in_threadpool(act, n, await json_of(request), request.state.reviewer)
        state = await run_in_threadpool(_state, desk, n)
        boxes = [{"name": one.name, "kind": one.kind, "tag": one.tag, "box": one.box} for one in state["boxes"]]
        return JSONResponse({"said": said, "boxes": boxes, "n_to_blur": state["n_to_blur"]})

    return decide


def _state(desk: SampleDesk, n: int) -> dict[str, Any]:
    boxes = desk.compared(n)
    looked = desk.seen(n).looked
    counts = {kind: sum(one.kind == kind for one in boxes) for kind in ("found", "hidden", "missed", "false")}
    return {"boxes": boxes, "n_to_blur": len(desk.to_blur(n)) if looked else 0, "counts": counts}


def _number(request: Request) -> int:
    return int(request.path_params["n"])
