"""One review from its start to Ctrl-C: what `cgtool review OUT` does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..run.store import Store
from .desk import Desk
from .frames import Frames
from .lock import review_lock
from .places import Places
from .queue import threshold_of
from .serve import check_installed, listening, serve
from .standing import Tally


@dataclass(frozen=True)
class ReviewConfig:
    """What is reviewed, and by whom."""

    out: Path
    reviewer: str
    """Who opens the first link; goes into every decision."""
    port: int = 0
    """0: any that is free."""
    taxonomy: Path | None = None
    """Cities that a clip may be given beside those of the data set; None: cityguessr166."""

    def __post_init__(self) -> None:
        if not self.reviewer.strip():
            raise ValueError("expected a reviewer's name, got none")


@dataclass(frozen=True)
class ReviewEnd:
    """What a review came to."""

    decided: Counter[str]
    """Decisions of this time by action."""
    n_decisions: int
    """In the table now."""
    n_stale: int
    """Of them: about earlier results of their clips; they count no more."""
    tally: Tally


def review(config: ReviewConfig, ready: Callable[[str], None], stop: threading.Event | None = None) -> ReviewEnd:
    """Serve the page until the process is interrupted.

    Args:
        ready: is called with the one-time link once the page can be opened.
        stop: ends it too, once it is set.

    Raises:
        InputError: no data set, no clips, clips that were never anonymised, a review that is open already, a port that
            is taken, decisions of another data set, a taxonomy with faults.
        MachineError: starlette or uvicorn is not installed.
    """
    check_installed()
    from .app import review_routes
    from .said import apply_command
    from .security import Sessions
    from .site import Site, application
    from .view import Views

    store = Store(config.out)
    dataset = store.dataset()
    if dataset is None:
        raise InputError(f"{config.out} is not an output directory (it has no dataset.json)", "Name the --out of one")
    with review_lock(store), listening(config.port) as (listener, port):
        frames = Frames(store)
        desk = Desk(store, Places.of(store, config.taxonomy), frames.size_px)
        site = Site(Sessions(port))
        apply = apply_command(config.out, config.taxonomy)
        views = Views(str(dataset.get("name") or config.out.name), threshold_of(store), desk, frames, apply)
        app = application(site, review_routes(site, views))
        serve(app, listener, lambda: ready(site.sessions.invite(config.reviewer)), stop)
        n_decisions = desk.log.assemble()
    return ReviewEnd(Counter(one.action for one in desk.made), n_decisions, desk.n_stale(), desk.tally())
