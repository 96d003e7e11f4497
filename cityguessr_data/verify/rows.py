"""Clips and frames of one unit belong together: ids, counts, positions, paths, each once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..core.frame_files import is_under
from ..core.schemas import FINGERPRINT_KEY
from .asked import Asked
from .findings import Fault
from .unit import UnitTables

_CHECK = "rows"


def check_rows(unit: UnitTables, asked: Asked) -> Iterator[Fault]:
    """See the module."""
    yield from _video(unit)
    yield from _clips(unit, asked)
    yield from _frames(unit)
    yield from _paths(unit, asked)


def _video(unit: UnitTables) -> Iterator[Fault]:
    where = f"parts/videos/{unit.name}.parquet"
    n, row = unit.tables["videos"].num_rows, unit.video
    if n != 1:
        yield Fault(_CHECK, where, f"has {n} rows, not one", "redo", unit.name)
        return
    if row["video_id"] != unit.name:
        yield Fault(_CHECK, where, f"is of the video {row['video_id']}", "redo", unit.name)
    if row["n_clips"] != len(unit.clips):
        yield Fault(
            _CHECK, where, f"says {row['n_clips']} clips, the clips part has {len(unit.clips)}", "redo", unit.name
        )
    fits = ("done",) if unit.clips else ("dropped", "removed", "failed")
    if row["status"] not in fits:
        yield Fault(_CHECK, where, f"says {row['status']}, with {len(unit.clips)} clips", "redo", unit.name)


def _clips(unit: UnitTables, asked: Asked) -> Iterator[Fault]:
    ids = Counter(clip["clip_id"] for clip in unit.clips)
    for clip_id, n in ids.items():
        if n > 1:
            yield Fault(_CHECK, clip_id, f"stands {n} times in its clips part", "redo", unit.name)
    mark = unit.marks.get(FINGERPRINT_KEY, b"").decode()
    for clip in unit.clips:
        if not asked.imported and clip["fingerprint"] != mark:
            yield Fault(_CHECK, clip["clip_id"], "its fingerprint is not that of its part", "redo", unit.name)
        if clip["n_sampled"] < 1:
            yield Fault(_CHECK, clip["clip_id"], "has no frames", "redo", unit.name)


def _frames(unit: UnitTables) -> Iterator[Fault]:
    """Each clip has its positions 0 to n_sampled - 1, each once, and no frame is of another clip."""
    positions: dict[str, Counter[int]] = defaultdict(Counter)
    for clip_id, position in zip(unit.frames["clip_id"], unit.frames["position"], strict=True):
        positions[clip_id][position] += 1
    for clip in {clip["clip_id"]: clip for clip in unit.clips}.values():
        found, n = positions.pop(clip["clip_id"], Counter()), clip["n_sampled"]
        twice = [position for position, times in found.items() if times > 1]
        lacking = n - sum(position in found for position in range(n))
        beyond = [position for position in found if not 0 <= position < n]
        told = [
            *([f"{len(twice)} of its frames stand twice in the table"] if twice else []),
            *([f"{lacking} of its {n} frames are not in the table"] if lacking else []),
            *([f"{len(beyond)} frames are in the table that it does not have"] if beyond else []),
        ]
        if told:
            yield Fault(_CHECK, clip["clip_id"], ", ".join(told), "redo", unit.name)
    for clip_id, found in positions.items():
        yield Fault(
            _CHECK, clip_id, f"{found.total()} frames are in the table of a clip that is not there", "redo", unit.name
        )


def _paths(unit: UnitTables, asked: Asked) -> Iterator[Fault]:
    """Each frame its own file: of this unit's under clips/, or where it was imported from."""
    blurred = {clip["clip_id"]: clip["blur"] is not None for clip in unit.clips}
    seen: Counter[str] = Counter(unit.frames["path"])
    for path, n in seen.items():
        if n > 1:
            yield Fault(_CHECK, path, f"is the file of {n} rows", "redo", unit.name)
    own = (f"clips/{unit.name}/", f"clips/{unit.name}.tar#")
    for clip_id, path in zip(unit.frames["clip_id"], unit.frames["path"], strict=True):
        if is_under(path):
            if not path.startswith(own):
                yield Fault(_CHECK, path, f"is named by {clip_id}, and lies with another unit", "redo", unit.name)
            elif not blurred.get(clip_id, True):
                yield Fault(
                    _CHECK, path, "lies under the data set and was never blurred", "person", unit.name,
                    hint="Delete the clip's folder, and import it again",
                )  # fmt: skip
        elif not (asked.imported and PurePosixPath(path).is_absolute()):
            yield Fault(_CHECK, path, f"is named by {clip_id}, and lies outside the data set", "redo", unit.name)
        elif blurred.get(clip_id, False):
            yield Fault(_CHECK, path, f"is named by {clip_id}, which was blurred: its copy is", "redo", unit.name)
