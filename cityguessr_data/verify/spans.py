"""The rules of clips: ids, spans inside the video that do not overlap, and which frames are sampled (contract 4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..core.spans import sample_offsets
from .asked import Asked
from .findings import Fault
from .unit import UnitTables

_CHECK = "spans"


def check_spans(unit: UnitTables, asked: Asked) -> Iterator[Fault]:
    """See the module. Of an import only what it says is checked: its spans may be unknown."""
    indices: dict[str, list[tuple[int, int]]] = defaultdict(list)
    columns = (unit.frames[name] for name in ("clip_id", "position", "frame_index"))
    for clip_id, position, frame_index in zip(*columns, strict=True):
        if frame_index is not None:
            indices[clip_id].append((position, frame_index))
        elif not asked.imported:
            yield Fault(_CHECK, clip_id, f"frame {position + 1} has no frame_index", "redo", unit.name)
    for clip in unit.clips:
        wrong = [] if asked.imported else _of_build(unit, clip, asked)
        wrong += _span(clip, unit.video.get("n_frames"))
        if not wrong:
            wrong = _sampled(clip, sorted(indices[clip["clip_id"]]), by_rule=not asked.imported)
        for what in wrong:
            yield Fault(_CHECK, clip["clip_id"], what, "redo", unit.name)
    yield from _overlaps(unit)


def _of_build(unit: UnitTables, clip: dict[str, Any], asked: Asked) -> list[str]:
    wrong = []
    if clip["video_id"] != unit.name:
        wrong.append(f"is of the video {clip['video_id']}, in the unit of {unit.name}")
    elif clip["clip_id"] != f"{unit.name}_{clip['clip_index']:05d}":
        wrong.append(f"has the number {clip['clip_index']}")
    if clip["start_frame"] is None or clip["end_frame"] is None:
        return [*wrong, "has no span"]
    n = clip["end_frame"] - clip["start_frame"]
    if asked.clip_frames is not None and not asked.clip_frames[0] <= n <= asked.clip_frames[1]:
        wrong.append(f"has {n} frames, not {asked.clip_frames[0]} to {asked.clip_frames[1]}")
    if asked.samples is not None and clip["n_sampled"] != asked.samples:
        wrong.append(f"has {clip['n_sampled']} sampled frames, not {asked.samples}")
    return wrong


def _span(clip: dict[str, Any], n_frames: int | None) -> list[str]:
    start, end = clip["start_frame"], clip["end_frame"]
    if start is None or end is None:
        return []
    wrong = []
    if not 0 <= start < end:
        return [f"its span is {start} to {end}"]
    if clip["n_frames"] is not None and clip["n_frames"] != end - start:
        wrong.append(f"says {clip['n_frames']} frames, its span has {end - start}")
    if n_frames is not None and end > n_frames:
        wrong.append(f"ends at frame {end}, its video has {n_frames}")
    if clip["start_s"] is not None and clip["end_s"] is not None and not clip["start_s"] < clip["end_s"]:
        wrong.append(f"ends {clip['end_s']:g} s, before it starts")
    return wrong


def _sampled(clip: dict[str, Any], indices: list[tuple[int, int]], *, by_rule: bool) -> list[str]:
    """Sampled frame p of a clip of n frames is start_frame + p * n // samples."""
    if not by_rule:
        falling = sum(a >= b for (_, a), (_, b) in pairwise(indices))
        return [f"{falling} of its frames do not come after the one before"] if falling else []
    n, samples = clip["end_frame"] - clip["start_frame"], clip["n_sampled"]
    if not 1 <= samples <= n:
        return [f"{samples} frames cannot be sampled of {n}"]
    wanted = dict(enumerate(clip["start_frame"] + offset for offset in sample_offsets(n, samples)))
    wrong = sum(wanted.get(position) != frame for position, frame in indices)
    return [f"{wrong} of its frames are not those that the rule samples"] if wrong else []


def _overlaps(unit: UnitTables) -> Iterator[Fault]:
    known = [clip for clip in unit.clips if clip["start_frame"] is not None and clip["end_frame"] is not None]
    by_video: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for clip in known:
        by_video[clip["video_id"]].append(clip)
    for video_id, clips in by_video.items():
        if video_id is None:
            continue
        clips.sort(key=lambda clip: (clip["start_frame"], clip["clip_id"]))
        for one, other in pairwise(clips):
            if other["start_frame"] < one["end_frame"]:
                yield Fault(_CHECK, other["clip_id"], f"shares frames with {one['clip_id']}", "redo", unit.name)
