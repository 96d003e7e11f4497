"""Checks the frames of one unit after the other in a pool of threads, some units ahead of the one that is committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .commit import CheckedClip
from .found import Fault, FoundClip, Unit
from .frame_check import CheckedFrame, check_frame, size_px

_FRAMES_AHEAD = 2_000
"""So many frames wait at most beside the unit under way: the threads have work while tables are written."""

Results = list[list[Future["CheckedFrame | str"]]]
"""By clip and frame; empty for a clip that is left out by its listing."""


@dataclass(frozen=True)
class CheckedUnit:
    """A unit with what became of its clips."""

    unit: Unit
    clips: tuple[CheckedClip, ...]
    """The whole ones."""
    faults: tuple[Fault, ...]
    """Of the others."""
    n_mixed: int
    """Whole clips whose frames are not all of one size."""


def checked_units(units: Iterable[Unit], source: Path, workers: int) -> Iterator[CheckedUnit]:
    """Yield every unit, checked, in its order.

    Args:
        source: paths in faults are relative to it.
        workers: threads; OpenCV decodes outside of Python's lock.
    """
    waiting: deque[tuple[Unit, Results]] = deque()
    n_ahead = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="frames")
    try:
        for unit in units:
            waiting.append((unit, _submit(unit, pool)))
            n_ahead += _n_frames(unit)
            while len(waiting) > 1 and n_ahead > _FRAMES_AHEAD:
                n_ahead -= _n_frames(waiting[0][0])
                yield _collect(*waiting.popleft(), source)
        while waiting:
            yield _collect(*waiting.popleft(), source)
    finally:
        pool.shutdown(cancel_futures=True)


def _n_frames(unit: Unit) -> int:
    return sum(len(clip.frames) for clip in unit.clips)


def _submit(unit: Unit, pool: ThreadPoolExecutor) -> Results:
    return [
        [] if clip.faults else [pool.submit(check_frame, frame.path) for frame in clip.frames] for clip in unit.clips
    ]


def _collect(unit: Unit, results: Results, source: Path) -> CheckedUnit:
    clips: list[CheckedClip] = []
    faults: list[Fault] = []
    n_mixed = 0
    for clip, futures in zip(unit.clips, results, strict=True):
        checked = [future.result() for future in futures]
        wrong = [*clip.faults, *_faults_of(clip, checked, source)]
        whole = [frame for frame in checked if isinstance(frame, CheckedFrame)]
        size = None if wrong else size_px(clip.frames[0].path)
        if size is None:
            faults += wrong or [Fault(_shown(clip.frames[0].path, source), "does not decode")]
            continue
        n_mixed += len({frame.reduced for frame in whole}) > 1
        clips.append(CheckedClip(clip, tuple(frame.sha256 for frame in whole), size))
    return CheckedUnit(unit, tuple(clips), tuple(faults), n_mixed)


def _faults_of(clip: FoundClip, checked: list[CheckedFrame | str], source: Path) -> list[Fault]:
    pairs = zip(clip.frames, checked, strict=False)  # none was checked of a clip that its listing leaves out
    return [Fault(_shown(frame.path, source), result) for frame, result in pairs if isinstance(result, str)]


def _shown(path: Path, source: Path) -> str:
    return str(path.relative_to(source))
