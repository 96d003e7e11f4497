"""Reads what a split needs of a data set: its clips with their city and source, and what is never divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import InputError
from ..core.types import LEVELS
from ..stats.stream import batches, count_rows
from .config import Rule

NOUNS: dict[Rule, str] = {"clip": "clip", "video": "source video", "channel": "channel"}
_NAMED = 3


@dataclass(frozen=True)
class Clips:
    """The clips of a data set, ordered by clip_id: nothing depends on the order of the tables' rows."""

    ids: tuple[str, ...]
    """Unique."""
    videos: tuple[str | None, ...]
    """Source video of each clip; None where it is unknown."""
    channels: tuple[str | None, ...]
    """Who published it; None where it is unknown."""
    index: npt.NDArray[np.int64] | None
    """(n,) number of the clip within its video; None where that of a clip is unknown."""
    city: npt.NDArray[np.int64]
    """(n,) index into `cities`."""
    cities: tuple[str, ...]
    """Their names, sorted; of cities of one name also the levels above, as in `London, Ontario, Canada`."""


@dataclass(frozen=True)
class Units:
    """What goes to one part as a whole: clips, source videos or channels."""

    noun: str
    ids: tuple[str, ...]
    """Sorted; `clip:`, `video:` or `channel:` and the name."""
    of_clip: npt.NDArray[np.int64]
    """(n_clips,) index into `ids`."""
    clips_by_city: tuple[Mapping[int, int], ...]
    """Of each unit, its clips by index of their city."""


def read_clips(out: Path) -> Clips:
    """Read OUT/manifests/clips.parquet, and videos.parquet where there is one.

    Raises:
        InputError: no clips, a clip without id or city, an id twice, a table that cannot be read.
    """
    path = out / "manifests" / "clips.parquet"
    if not path.is_file():
        raise InputError(f"{out} has no clips table ({path})", "Name the --out of a build that has finished")
    columns = ("clip_id", "video_id", "clip_index", *LEVELS)
    if not count_rows(path):
        raise InputError(f"{path} has no clips", "There is nothing to split yet")
    rows = pa.Table.from_batches(list(batches(path, "clips", columns)))
    for column in ("clip_id", "city"):
        if empty := sum(_text(value) is None for value in rows[column].to_pylist()):
            raise InputError(f"{path}: {empty} of {rows.num_rows} clips have no {column}", f"Fill the column {column}")
    ids = rows["clip_id"].to_pylist()
    rows = rows.take(sorted(range(len(ids)), key=ids.__getitem__))
    ids.sort()
    if twice := [a for a, b in pairwise(ids) if a == b]:
        raise InputError(f"{path}: {len(twice)} clip ids stand there again, e.g. {twice[0]}", "Give every clip one row")
    videos = tuple(_text(value) for value in rows["video_id"].to_pylist())
    channel_of = _channels(out / "manifests" / "videos.parquet")
    places = list(zip(*(rows[level].to_pylist() for level in LEVELS), strict=True))
    distinct = sorted(set(places), key=lambda place: tuple(name or "" for name in place))
    number = {place: i for i, place in enumerate(distinct)}
    return Clips(
        ids=tuple(ids),
        videos=videos,
        channels=tuple(None if video is None else channel_of.get(video) for video in videos),
        index=None if rows["clip_index"].null_count else rows["clip_index"].to_numpy().astype(np.int64),
        city=np.array([number[place] for place in places], np.int64),
        cities=_names(distinct),
    )


def units_of(clips: Clips, by: Rule) -> Units:
    """Group clips into what the rule never divides. By channel, a video whose channel is unknown stands for itself.

    Raises:
        InputError: the rule needs sources, and that of a clip is unknown; by channel, no channel is known.
    """
    if by == "clip":
        keys = [f"clip:{clip_id}" for clip_id in clips.ids]
    else:
        unknown = [clip_id for clip_id, video in zip(clips.ids, clips.videos, strict=True) if video is None]
        if unknown:
            named = ", ".join(unknown[:_NAMED]) + (", ..." if len(unknown) > _NAMED else "")
            raise InputError(
                f"the source video of {len(unknown)} of {len(clips.ids)} clips is unknown: {named}",
                f"Only --by clip is possible: a split by {by} could have one source on both sides and not know it",
            )
        if by == "channel" and not any(clips.channels):
            raise InputError("no video has a known channel", "Choose --by video")
        known = clips.channels if by == "channel" else [None] * len(clips.ids)
        keys = [
            f"channel:{channel}" if channel is not None else f"video:{video}"
            for channel, video in zip(known, clips.videos, strict=True)
        ]
    ids, of_clip = np.unique(np.array(keys, dtype=object), return_inverse=True)
    by_city: list[Counter[int]] = [Counter() for _ in ids]
    for unit, city in zip(of_clip.tolist(), clips.city.tolist(), strict=True):
        by_city[unit][city] += 1
    return Units(NOUNS[by], tuple(ids.tolist()), of_clip.astype(np.int64), tuple(by_city))


def _channels(path: Path) -> dict[str, str]:
    """Channel by video, of those that are known."""
    if not path.is_file():
        return {}
    known: dict[str, str] = {}
    for batch in batches(path, "videos", ("video_id", "channel")):
        for video, channel in zip(batch["video_id"].to_pylist(), batch["channel"].to_pylist(), strict=True):
            name = _text(channel)
            if video is not None and name is not None:
                known[video.strip()] = name
    return known


def _names(places: Sequence[tuple[str | None, ...]]) -> tuple[str, ...]:
    """The city's name alone where no other place has it, else with the levels above it."""
    times = Counter(place[0] for place in places)
    return tuple(
        str(place[0]) if times[place[0]] == 1 else ", ".join(name for name in place if name) for place in places
    )


def _text(value: str | None) -> str | None:
    """`value` without outer space; None where nothing is left."""
    return (value.strip() or None) if value else None
