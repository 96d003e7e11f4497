"""One sitting over a sample: what `cgtool review OUT --sample N --report` does.

--sample N             serves the page until no frame is left, or Ctrl-C, then tells the figures
--report               tells the figures of the newest sample as it stands
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError
from ..run.store import Store
from .frames import Frames
from .lock import review_lock
from .recall_report import RecallReport, keep_report, make_report
from .sample import Sample, newest_sample, open_sample
from .sample_desk import SampleDesk
from .serve import check_installed, listening, serve


@dataclass(frozen=True)
class SampleConfig:
    """Which sample, and who looks at it."""

    out: Path
    reviewer: str
    n_frames: int | None = None
    """None: the newest sample is only reported."""
    seed: int = 0
    port: int = 0
    """0: any that is free."""

    def __post_init__(self) -> None:
        if not self.reviewer.strip():
            raise ValueError("expected a reviewer's name, got none")


def look_and_report(
    config: SampleConfig, ready: Callable[[str], None], stop: threading.Event | None = None
) -> RecallReport:
    """Serve the page of a sample while frames are left, then work out its figures and keep them.

    Args:
        ready: is called with the one-time link once the page can be opened; not where nothing is left to look at.
        stop: ends the page too, once it is set.
    Raises:
        InputError: no data set, no sample, no frame that can be shown, a review that is open already, a port that is
            taken, decisions of another data set.
        MachineError: starlette or uvicorn is not installed.
        DiskFullError: no space left.
    """
    store = Store(config.out)
    if store.dataset() is None:
        raise InputError(f"{config.out} is not an output directory (it has no dataset.json)", "Name the --out of one")
    if config.n_frames is None:
        sample = newest_sample(store)
        if sample is None:
            raise InputError(f"no sample of {config.out} was drawn yet", "Draw one: --sample 200 --report")
    else:
        frames = Frames(store)
        sample = open_sample(store, frames.unblurred, config.n_frames, config.seed)
        if make_report(store, sample).n_left:
            _serve(config, store, sample, frames, ready, stop or threading.Event())
    report = make_report(store, sample)
    keep_report(store, report)
    return report


def _serve(
    config: SampleConfig,
    store: Store,
    sample: Sample,
    frames: Frames,
    ready: Callable[[str], None],
    stop: threading.Event,
) -> None:
    check_installed()
    from .sample_routes import sample_routes
    from .security import Sessions
    from .site import Site, application

    with review_lock(store), listening(config.port) as (listener, port):
        desk = SampleDesk(store, sample, frames, stop)
        site = Site(Sessions(port))
        app = application(site, sample_routes(site, desk))
        serve(app, listener, lambda: ready(site.sessions.invite(config.reviewer)), stop)
        desk.log.assemble()
