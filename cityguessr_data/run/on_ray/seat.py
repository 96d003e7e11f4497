"""One worker of a Ray cluster as the driver sees it: what it is asked, one call after the other, from start to end.

The life of a worker is written as generators that yield a call's reference and get its value: the crew (crew.py)
waits for the references of all its workers at once.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import MachineError, disk_full_stops
from ...core.fingerprint import file_sha256
from ...core.types import LocalVideo
from ..compute import Failed, Staged
from ..executor import ComputeFactory, Fetched, FromFiles, Listener
from .actor import About, News
from .files import FileMark, Piece, blocks, settle_on_disk, write_pieces
from .node import check_same_code

Ref = Any
"""A reference to what a call on an actor will return."""
Call = Generator[Ref, Any, None]


class Shipment:
    """The files that a factory opens, put into Ray's object store block by block when the first node lacks them."""

    def __init__(self, factory: ComputeFactory, put: Callable[[bytes], Ref]) -> None:
        files = factory.files if isinstance(factory, FromFiles) else {}
        self.factory = factory
        self.files = {name: (path.absolute(), file_sha256(path)) for name, path in files.items()}
        self._put = put
        self._blocks: dict[str, list[Ref]] = {}

    def of(self, name: str) -> Sequence[Ref]:
        """The blocks of a file; each node gets each of them once, however many workers it has."""
        if name not in self._blocks:
            self._blocks[name] = [self._put(block) for block in blocks(self.files[name][0])]
        return self._blocks[name]


@dataclass(frozen=True)
class Ground:
    """What the driver shares with its workers, or does not: the folders that a worker is asked about."""

    staging: Path
    """A folder beside those that videos are staged in; the driver made it."""
    needed: Mapping[Path, str] = field(default_factory=dict)
    """Folder -> what for: every node must see these."""


class Seat:
    """A worker, and the video it is at."""

    def __init__(self, actor: Any, shipment: Shipment, ground: Ground, threads: int, listener: Listener) -> None:
        self.actor = actor
        self.about: About | None = None
        """Once it has answered: it runs."""
        self.ready = False
        """Whether it can be given videos."""
        self.fit = False
        """Whether its stages have been opened."""
        self.fetched: Fetched | None = None
        self.outcome: Staged | Failed | None = None
        """Of `fetched`, when that has ended."""
        self.ref: Ref = None
        """The call under way; None: it waits for a video."""
        self.asked_s = 0.0
        """When that call was made, on the monotonic clock."""
        self._listener = listener
        self._ground = ground
        self._shares_disk = False
        self._call: Call | None = None
        self._go_on(self._open(shipment, threads))

    @property
    def free(self) -> bool:
        """Whether it can be given a video."""
        return self.ready and self.ref is None and self.fetched is None

    def give(self, fetched: Fetched, staging: Path) -> None:
        """Have it do a video."""
        self.fetched = fetched
        self._go_on(self._video(fetched, staging.absolute()))

    def answer(self, value: Any) -> None:
        """Go on with what the call under way returned.

        Raises:
            MachineError, NoNewWorkerError: the node is not fit. StopError: a disk is full, there or here.
        """
        assert self._call is not None, "only a call under way has an answer"
        try:
            self.ref, self.asked_s = self._call.send(value), time.monotonic()
        except StopIteration:
            self.ref = self._call = None

    def _go_on(self, call: Call) -> None:
        self._call = call
        self.ref, self.asked_s = next(call), time.monotonic()

    def _open(self, shipment: Shipment, threads: int) -> Call:
        ground, actor = self._ground, self.actor
        about: About = yield actor.hello.remote([ground.staging, *ground.needed])
        self.about = about
        seen = {folder for folder in about.sees if (folder / about.token).exists()}  # also from here: the same disk
        for folder in about.sees:
            (folder / about.token).unlink(missing_ok=True)
        check_same_code(about.node, about.code, getattr(about, "packages", {}))  # other code may not tell
        for folder, what_for in ground.needed.items():
            if folder not in seen:
                raise MachineError(f"{about.node} does not see {folder}, {what_for}", "Share it with all nodes")
        self._shares_disk = ground.staging in seen
        if shipment.files and (yield actor.lacks.remote(shipment.files)):
            for name in shipment.files:
                yield actor.take_file.remote(shipment.files, name, shipment.of(name))
            if (yield actor.lacks.remote(shipment.files)):
                raise MachineError(f"{about.node} did not keep the weights that it was sent", "See to its disk")
        yield actor.open.remote(shipment.factory, threads)
        self.ready = True

    def _video(self, fetched: Fetched, staging: Path) -> Call:
        actor, source = self.actor, fetched.source
        assert isinstance(source, LocalVideo), "what was dropped never comes here"
        path = source.path.absolute()
        fetched = dataclasses.replace(fetched, source=dataclasses.replace(source, path=path))
        try:
            mark = FileMark.of(path)
        except OSError:
            mark = None  # the stages will say that it is gone
        if mark is not None and not (yield actor.sees.remote(mark)):
            first = True
            for block in blocks(path):
                yield actor.take_source.remote(path.suffix, block, first)
                first = False
        yield actor.start.remote(fetched, staging if self._shares_disk else None)
        news = News({}, ())
        while news.outcome is None:
            news = yield actor.tell.remote()
            self.fit = self.fit or news.fit
            for stage, frames in news.ticks.items():
                self._listener.ticked(stage, frames)
            for remark in news.remarks:
                self._listener.said(remark)
            if news.error is not None:
                raise news.error
        outcome = news.outcome
        if isinstance(outcome, Staged) and not self._shares_disk:
            yield from self._bring(staging)
            outcome = dataclasses.replace(outcome, staging=staging)
        self.outcome = outcome

    def _bring(self, staging: Path) -> Call:
        """Fetch what was staged on the node's own disk: blurred frames and tables, never anything else."""
        try:
            with disk_full_stops(str(staging)):
                while received := (yield self.actor.bring.remote()):
                    pieces: list[Piece] = received
                    write_pieces(staging, pieces)
                settle_on_disk(staging)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)  # half of it; the video is done again
            raise

    def lost(self) -> Fetched | None:
        """Give up this worker; returns the video it was at."""
        if self._call is not None:
            self._call.close()
        fetched, self.fetched, self.ref, self._call = self.fetched, None, None, None
        return fetched
