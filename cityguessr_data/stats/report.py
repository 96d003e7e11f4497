"""Measures a data set: the one place that names every section of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.types import LEVELS, Level
from .counts import without
from .data import Data, read_data
from .duplicates import near_duplicates
from .faces import faces
from .footage import footage, size
from .frames import Frames, read_frames
from .leakage import leakage, read_split
from .levels import level_stats
from .places import Gazetteer, Names
from .provenance import channel_of, provenance, video_index
from .results import Duplicates, Leakage, LevelStats, Stats
from .scenes import scenes

_SECTIONS = ("footage", "faces", "scenes", "provenance", "duplicates", "leakage")

FEW_BELOW = 100
"""Classes with fewer clips are listed, if the user names no other number."""


def measure(path: Path, taxonomy: Path | None = None, splits: Sequence[Path] = (), few_below: int = FEW_BELOW) -> Stats:
    """Measure an output directory, a clips table or a table of counts.

    Args:
        taxonomy: where the upper levels and coordinates of cities come from that the data only names; None: those that
            ship with the project.
        splits: split tables whose leakage to report, beside those of an output directory.
        few_below: classes with fewer clips are listed.
    Raises:
        InputError: there is nothing that can be measured; TableError with every fault of a table of counts.
    """
    gazetteer = Gazetteer.load(taxonomy)
    data = read_data(path, gazetteer, splits)
    # First what needs most memory, before libraries and tables take theirs
    frames = read_frames(data.frames, data.clips["clip_id"]) if data.frames and data.clips is not None else None
    duplicates, pairs = _duplicates(data, frames)
    blank: dict[str, str] = {}
    levels: dict[Level, LevelStats | None] = {}
    for level in LEVELS:
        missing = without(data.cities, level)
        levels[level] = None if missing else level_stats(data.cities, level, few_below)
        if missing:
            blank[level] = _not_placed(missing, level, len(data.cities), gazetteer)
    stats = Stats(
        name=data.name,
        kind=data.kind,
        size=size(data),
        few_below=few_below,
        levels=levels,
        footage=footage(data),
        faces=faces(data, frames),
        scenes=scenes(data),
        provenance=provenance(data),
        duplicates=duplicates,
        leakage=_leakages(data, pairs),
        blank=blank,
        notes=data.notes,
    )
    empty = [name for name in _SECTIONS if not getattr(stats, name)]
    blank |= {name: _reason(name, data, frames) for name in empty}
    return replace(stats, blank=blank, notes=(*data.notes, *_table_notes(stats, frames)))


def _duplicates(data: Data, frames: Frames | None) -> tuple[Duplicates | None, npt.NDArray[np.int64] | None]:
    """The report, and the pairs as (P, 2) rows of the clips table."""
    if data.clips is None or frames is None:
        return None, None
    videos = video_index(data.clips)
    if videos is None or not frames.clip.size:
        return None, None
    pa.default_memory_pool().release_unused()  # Arrow keeps what it freed; the search below needs it
    return near_duplicates(data.clips["clip_id"].to_pylist(), videos, frames.clip, frames.phash)


def _leakages(data: Data, pairs: npt.NDArray[np.int64] | None) -> tuple[Leakage, ...]:
    if data.clips is None:
        return ()
    clip_ids = data.clips["clip_id"].to_pylist()
    columns = data.clips.column_names
    index = data.clips["clip_index"] if "clip_index" in columns else None
    channels = channel_of(data)
    return tuple(
        leakage(
            path.stem,
            read_split(path, clip_ids),
            video_of=video_index(data.clips),
            clip_index=None if index is None or index.null_count else index.to_numpy(),
            channel_of=None if channels is None else channels.to_pylist(),
            duplicate_pairs=pairs,
        )
        for path in data.splits
    )


def _not_placed(cities: list[Names], level: Level, n: int, gazetteer: Gazetteer) -> str:
    """Why a level is blank: a measure over a part of the cities would pass for one over all."""
    reasons = "; ".join(gazetteer.why_not(names) for names in cities[:3])
    more = f"; and {len(cities) - 3} more" if len(cities) > 3 else ""
    have = "has" if len(cities) == 1 else "have"
    return f"{len(cities)} of {n} cities {have} no {level}: {reasons}{more}"


def _reason(section: str, data: Data, frames: Frames | None) -> str:
    """Why a section is blank."""
    if data.kind == "counts":
        return "a table of counts says nothing of single clips"
    if data.kind == "clips" and section in ("faces", "duplicates"):
        return "a clips table has no frames and faces: name the output directory"
    if section == "duplicates" and data.clips is not None and video_index(data.clips) is not None:
        return "there is no frames table" if frames is None else "no frame has a perceptual hash"
    return {
        "footage": "there is no clips table",
        "faces": "no face was looked for: `cgtool anonymise` does",
        "scenes": "no clip has a scene label",
        "provenance": "the source video of some clips is not known",
        "duplicates": "the source video of some clips is not known",
        "leakage": "there is no split",
    }[section]


def _table_notes(stats: Stats, frames: Frames | None) -> list[str]:
    """Where the tables of an output directory do not agree, or hold what they should not."""
    notes = []
    if frames is not None:
        if frames.n_strangers:
            notes.append(
                f"{frames.n_strangers} rows of the frames table are of clips that the clips table does not have"
            )
        if stats.size.n_frames not in (None, frames.n_rows):
            notes.append(f"the frames table has {frames.n_rows} of the {stats.size.n_frames} frames of the clips table")
    if stats.faces is not None:
        if stats.faces.n_strangers:
            lost = stats.faces.n_strangers
            notes.append(f"{lost} rows of the faces table are of clips that the clips table does not have")
        if stats.faces.n_visible:
            notes.append(f"{stats.faces.n_visible} faces of score {stats.faces.conf:g} and over are not blurred")
    return notes
