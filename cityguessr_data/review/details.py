"""All that the page tells of one clip, read from the parts of its unit when the clip is shown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..run.store import Store, read_part
from .faces import as_built
from .state import Row

_KEPT_UNITS = 8
_CLIP = ["clip_id", "video_id", "fingerprint", "city", "state", "country", "continent", "width", "height", "n_sampled"]
_FRAME = ["clip_id", "position", "path", "timestamp_s"]


@dataclass(frozen=True)
class ClipDetail:
    """A clip as its unit's parts have it now."""

    unit: str
    clip_id: str
    video_id: str | None
    fingerprint: str
    city: str
    place: str
    """State, country and continent in words."""
    width_px: int
    height_px: int
    n_frames: int
    title: str | None
    """Of its video."""
    paths: dict[int, str]
    """Position -> where the saved, blurred frame lies, relative to OUT."""
    times_s: dict[int, float | None]
    faces: list[Row]
    """As built."""
    of_video: tuple[str, ...]
    """Clip ids of the same video in this unit, this one among them."""

    @property
    def positions(self) -> list[int]:
        """Of all its saved frames, in order."""
        return sorted(self.paths)


@dataclass(frozen=True)
class _Tables:
    changed_ns: int
    clips: dict[str, dict[str, Any]]
    frames: pa.Table
    faces: pa.Table
    titles: dict[str, str | None]


class Details:
    """Holds the tables of the last few units. May be shared by threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tables: OrderedDict[str, _Tables] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, unit: str, clip_id: str) -> ClipDetail:
        """One clip.

        Raises:
            InputError: it is not there any more.
        """
        tables = self._of_unit(unit)
        row = tables.clips.get(clip_id)
        if row is None:
            raise InputError(f"{clip_id} is not in the data set any more", "Stop the review and start it again")
        video_id = row["video_id"]
        frames = tables.frames.filter(pc.equal(tables.frames["clip_id"], clip_id)).to_pylist()
        same = [one for one, other in tables.clips.items() if video_id is not None and other["video_id"] == video_id]
        return ClipDetail(
            unit,
            clip_id,
            video_id,
            row["fingerprint"],
            row["city"],
            ", ".join(dict.fromkeys(row[level].replace("_", " ") for level in ("state", "country", "continent"))),
            row["width"],
            row["height"],
            row["n_sampled"],
            tables.titles.get(video_id),
            {frame["position"]: frame["path"] for frame in frames},
            {frame["position"]: frame["timestamp_s"] for frame in frames},
            tables.faces.filter(pc.equal(tables.faces["clip_id"], clip_id)).to_pylist(),
            tuple(same) or (clip_id,),
        )

    def _of_unit(self, unit: str) -> _Tables:
        try:
            changed_ns = self.store.part("clips", unit).stat().st_mtime_ns
        except OSError as exc:
            raise InputError(f"the video {unit} is not in the data set any more", "Start the review again") from exc
        with self._lock:
            if unit not in self._tables or self._tables[unit].changed_ns != changed_ns:
                self._tables[unit] = self._read(unit, changed_ns)
                while len(self._tables) > _KEPT_UNITS:
                    self._tables.popitem(last=False)
            self._tables.move_to_end(unit)
            return self._tables[unit]

    def _read(self, unit: str, changed_ns: int) -> _Tables:
        part = self.store.part
        clips = read_part(part("clips", unit), _CLIP).to_pylist()
        videos = read_part(part("videos", unit), ["video_id", "title"]).to_pylist()
        return _Tables(
            changed_ns,
            {row["clip_id"]: row for row in clips},
            read_part(part("frames", unit), _FRAME),
            as_built(self.store, unit),
            {row["video_id"]: row["title"] for row in videos},
        )
