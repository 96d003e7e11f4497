"""What runs on a node of a Ray cluster: one worker process of ours, and the files that it needs there.

The actor itself computes nothing. It starts the same worker process as the local engine (run/crew.py), hands it one
video at a time and passes on what it says; a decoder that crashes takes that process down, and neither the actor nor
Ray.

Frames are not sent between processes: 100 of 1280x720 are 276 MB, far more than the file they come from and than the
JPEGs they become. So a whole video is one unit of work, decoded, anonymised and labelled in one process, whose lanes
overlap, and only sources and finished files travel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import secrets
import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from ...core.errors import CgtoolError, disk_full_stops
from ...core.fingerprint import file_sha256
from ...core.types import LocalVideo
from ..compute import Failed, Staged
from ..crew import STALL_S, Crew
from ..executor import ComputeFactory, Fetched, FromFiles, Postponed
from .files import FileMark, Piece, pieces
from .node import code_digest, make_own, node_and_folder, package_versions, remove_when_killed, sweep

_TELL_S = 0.5
"""How long `tell` waits for something to tell; the caller asks again at once."""


@dataclass(frozen=True)
class About:
    """What an actor says of itself and of its node."""

    node: str
    """Name of the machine, for people."""
    node_id: str
    """Ray's."""
    sees: frozenset[Path]
    """Of the folders it was asked about, those in which it has left a file named by its `token`."""
    token: str
    code: str
    """Digest of the code that will compute: `code_digest`."""
    packages: Mapping[str, str]
    """`package_versions`."""


@dataclass(frozen=True)
class News:
    """What a worker process has said since it was last asked."""

    ticks: Mapping[str, int]
    remarks: tuple[str, ...]
    outcome: Staged | Failed | None = None
    error: CgtoolError | None = None
    """The stages cannot be opened (MachineError, NoNewWorkerError), or a disk is full (StopError)."""
    fit: bool = False
    """Whether the stages have been opened."""


class RayWorker:
    """The actor. Its methods return soon, so that they can be called one after the other from one place.

    Args:
        stall_s: see Crew.
        base: a folder of the node's own, for sources and for what is staged there; None: one in Ray's own.
    """

    def __init__(self, stall_s: float = STALL_S, base: Path | None = None) -> None:
        self._stall_s = stall_s
        self._node_id, self._base = ("", base) if base else node_and_folder()
        make_own(self._base)
        self._token = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._home = self._base / f"worker-{self._token}"
        self._lock = filelock.FileLock(self._base / f"worker-{self._token}.lock")
        self._lock.acquire()
        sweep(self._base)
        self._home.mkdir(mode=0o700)
        self._outlived = remove_when_killed(self._home)
        self._crew: Crew | None = None
        self._news: deque[str] = deque()
        self._ticks: Counter[str] = Counter()
        self._files: Mapping[str, Path] = {}
        self._received: Path | None = None
        self._staged: Path | None = None
        self._leaving: Iterator[list[Piece]] = iter(())

    # What the crew's listener must have ------------------------------------------------------------------------------

    def ticked(self, stage: str, frames: int) -> None:
        """See Listener."""
        self._ticks[stage] += frames

    def said(self, message: str) -> None:
        """See Listener."""
        self._news.append(message)

    def planned(self, videos: int) -> None:
        """See Listener; never told."""

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None:
        """See Listener; never told."""

    def fetched(self, fetched: Fetched) -> None:
        """See Listener; never told."""

    def ended(self, outcome: Staged | Failed | Postponed) -> None:
        """See Listener; never told."""

    # Before the first video ------------------------------------------------------------------------------------------

    def hello(self, folders: Sequence[Path]) -> About:
        """Tell about this node. In each of `folders` that it sees it leaves a file named by its token."""
        sees = set()
        for folder in folders:
            try:
                (folder / self._token).touch(exist_ok=False)
            except OSError:  # it is not here, or not ours to write
                continue
            sees.add(folder)
        return About(platform.node(), self._node_id, frozenset(sees), self._token, code_digest(), package_versions())

    def lacks(self, files: Mapping[str, tuple[Path, str]]) -> bool:
        """Whether files must be sent: name -> the caller's path and SHA-256. Those here are remembered for `open`."""
        where = {name: path for name, (path, _) in files.items()}
        sent = {name: self._sent(files) / path.name for name, (path, _) in files.items()}
        for places in (where, sent):
            if all(_is(places[name], sha256) for name, (_, sha256) in files.items()):
                self._files = places
                return False
        self._files = sent
        return True

    def take_file(self, files: Mapping[str, tuple[Path, str]], name: str, content: Sequence[Any]) -> None:
        """Keep one of the files of `lacks` in a folder that the node's workers share, for later runs as well.

        Args:
            content: references to its blocks in Ray's object store, from which a node gets each once.
        Raises:
            ValueError: what came is not the file. DiskFullError: there is no room for it.
        """
        import ray

        path, sha256 = self._sent(files) / files[name][0].name, files[name][1]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{self._token}.partial")
        with disk_full_stops(f"{partial} on {platform.node()}"), partial.open("xb") as f:
            for block in content:
                f.write(ray.get(block))
        if file_sha256(partial) != sha256:
            partial.unlink()
            raise ValueError(f"{path.name} has another digest after it was sent")
        partial.replace(path)

    def open(self, factory: ComputeFactory, threads: int) -> None:
        """Be ready for videos. The worker process starts with the first, and again after one that it died on."""
        if isinstance(factory, FromFiles):
            factory = dataclasses.replace(factory, files=self._files)
        self._crew = Crew(factory, 1, threads, self, stall_s=self._stall_s)

    # One video -------------------------------------------------------------------------------------------------------

    def sees(self, mark: FileMark) -> bool:
        """Whether a source can be read where it lies."""
        return mark.holds()

    def take_source(self, suffix: str, block: bytes, first: bool) -> None:
        """Receive a source, block by block. It lies in this worker's own folder until its video has ended.

        Raises:
            DiskFullError: there is no room for it.
        """
        if first:
            self._received = self._home / f"source{suffix}"
        assert self._received is not None, "the first block comes first"
        with (
            disk_full_stops(f"{self._received} on {platform.node()}"),
            self._received.open("wb" if first else "ab") as f,
        ):
            f.write(block)

    def start(self, fetched: Fetched, staging: Path | None) -> None:
        """Begin a video.

        Args:
            staging: where to stage it, on a disk that the caller sees; None: here, to be fetched by `bring`.
        """
        assert self._crew is not None, "open() comes first"
        assert isinstance(fetched.source, LocalVideo), "what was dropped never comes here"
        if self._received is not None:
            fetched = dataclasses.replace(fetched, source=dataclasses.replace(fetched.source, path=self._received))
        self._staged = self._home / "staged" if staging is None else None
        place = staging or self._home / "staged"
        self._crew.assign(deque([fetched]), lambda _video_id: place)

    def tell(self) -> News:
        """What the worker process has said; waits a little where that is nothing."""
        assert self._crew is not None, "open() comes first"
        outcome: Staged | Failed | None = None
        error: CgtoolError | None = None
        until = time.monotonic() + _TELL_S
        while outcome is None and time.monotonic() < until:
            try:
                outcome = next(iter(self._crew.hear()), None)
            except CgtoolError as exc:
                error = exc
                break
        news = News(dict(self._ticks), tuple(self._news), outcome, error, self._crew.has_been_ready)
        self._ticks.clear()
        self._news.clear()
        if outcome is not None or error is not None:
            self._end_video(keep_staged=isinstance(outcome, Staged))
        return news

    def bring(self) -> list[Piece]:
        """The next files of what was staged here; nothing more when all have gone, and nothing is left here then."""
        found = next(self._leaving, [])
        if not found:
            self._end_video(keep_staged=False)
        return found

    def end(self) -> None:
        """End the worker process, whatever it does, and leave nothing on the node but the weights that were sent.

        What killed workers left goes as well: there may be no later run to remove it.
        """
        if self._crew is not None:
            self._crew.close()
        shutil.rmtree(self._home, ignore_errors=True)
        self._outlived()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)
        sweep(self._base)

    def _end_video(self, *, keep_staged: bool) -> None:
        if self._received is not None:
            self._received.unlink(missing_ok=True)
            self._received = None
        if self._staged is None:
            return
        if keep_staged:
            self._leaving = pieces(self._staged)
        else:
            self._leaving = iter(())
            shutil.rmtree(self._staged, ignore_errors=True)

    def _sent(self, files: Mapping[str, tuple[Path, str]]) -> Path:
        """The folder of a set of files that were sent, named by their digests."""
        digest = hashlib.sha256(repr(sorted((path.name, sha256) for path, sha256 in files.values())).encode())
        return self._base / f"weights-{digest.hexdigest()[:16]}"


def _is(path: Path, sha256: str) -> bool:
    try:
        return file_sha256(path) == sha256
    except OSError:
        return False
