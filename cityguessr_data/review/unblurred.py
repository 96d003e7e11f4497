"""The frames of a data set as they were before blurring, decoded when somebody asks and never stored.

Of a built data set they come out of the kept source video, of an imported one from the originals. A frame that is given
out here may be shown to a reviewer on this machine, or blurred anew; it must never be written.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..core.errors import MediaError
from ..core.frame_files import FrameFiles
from ..media.decode import DecodeBreak, VideoIndex, decode, index_video
from ..media.pictures import read_picture
from ..media.seek import frame_at
from ..run.kept_sources import KeptSources
from ..run.store import Store, read_part

if TYPE_CHECKING:
    from ..core.types import RGB

K = TypeVar("K")
V = TypeVar("V")

_KEPT_UNITS = 8
"""How many units' tables and indices are held: a reviewer goes to and fro between few."""

Place = tuple[str, int]
"""clip_id, position."""


@dataclass(frozen=True)
class _Unit:
    frame_index: dict[Place, int | None]
    source: dict[str, Path | str]
    """By clip: its source video, or why there is none."""
    originals: dict[str, dict[int, tuple[str, str | None]]]
    """Clip -> position -> (path, SHA-256) of imported frames."""


class Unblurred:
    """May be shared by threads. A frame is given out at the size of the saved one, upright."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sources = KeptSources(store)
        self.files = FrameFiles(store.out)
        self._units: _Kept[str, _Unit] = _Kept(self._read)
        self._indices: _Kept[Path, VideoIndex] = _Kept(index_video)

    def why_none(self, unit: str, clip_id: str) -> str | None:
        """None where the clip's frames can be had, else one sentence that says why not."""
        held = self._units.get(unit)
        if clip_id in held.originals:
            there = all(Path(path).is_file() for path, _ in held.originals[clip_id].values())
            return None if there else "its original frames are not where they were"
        source = held.source.get(clip_id, "there is no such clip")
        return source if isinstance(source, str) else None

    def frame(self, unit: str, clip_id: str, position: int) -> RGB:
        """One frame, uint8 RGB (H, W, 3), found by seeking: for a page.

        Raises:
            MediaError: it cannot be had; the message says why.
        """
        held, place = self._units.get(unit), (clip_id, position)
        if clip_id in held.originals:
            return self._original(held, place)
        path, number = self._of_video(held, place)
        return frame_at(path, number, self._indices.get(path))

    def frames(
        self, unit: str, places: Iterable[Place], threads: int = 0, alive: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Place, RGB]]:
        """Many frames of a unit, in one pass over each source: for blurring anew.

        Args:
            alive: called while a source is decoded, also where no frame of it is wanted for long.
        Yields:
            (clip_id, position) and its frame, uint8 RGB (H, W, 3), by clip and position of what lies in one source.
        Raises:
            MediaError: one of them cannot be had.
        """
        held = self._units.get(unit)
        by_source: dict[Path, dict[int, Place]] = {}
        for place in sorted(set(places)):
            if place[0] in held.originals:
                yield place, self._original(held, place)
                continue
            path, number = self._of_video(held, place)
            by_source.setdefault(path, {})[number] = place
        for path, wanted in by_source.items():
            try:
                for frame in decode(path, wanted, max(wanted) + 1, self._indices.get(path), threads, alive):
                    yield wanted[frame.index], frame.rgb
            except DecodeBreak as exc:
                raise MediaError(f"{path.name}: {exc}") from exc

    def _of_video(self, held: _Unit, place: Place) -> tuple[Path, int]:
        clip_id, position = place
        source = held.source.get(clip_id, "there is no such clip")
        number = held.frame_index.get(place)
        if isinstance(source, str) or number is None:
            why = source if isinstance(source, str) else "there is no such frame"
            raise MediaError(f"{clip_id}, frame {position + 1}: {why}", "Only the saved, blurred frame is there")
        return source, number

    def _original(self, held: _Unit, place: Place) -> RGB:
        clip_id, position = place
        if position not in held.originals[clip_id]:
            raise MediaError(f"{clip_id}, frame {position + 1}: there is no such frame")
        return read_picture(self.files, *held.originals[clip_id][position])

    def _read(self, unit: str) -> _Unit:
        store = self.store
        if not store.part("clips", unit).is_file():
            return _Unit({}, {}, {})
        rows = read_part(store.part("frames", unit), ["clip_id", "position", "frame_index"]).to_pylist()
        frame_index = {(row["clip_id"], row["position"]): row["frame_index"] for row in rows}
        originals: dict[str, dict[int, tuple[str, str | None]]] = {}
        if store.originals(unit).is_file():
            for row in read_part(store.originals(unit)).to_pylist():
                originals.setdefault(row["clip_id"], {})[row["position"]] = (row["path"], row["sha256"])
        videos = {row["video_id"]: row for row in read_part(store.part("videos", unit)).to_pylist()}
        clips: list[dict[str, Any]] = read_part(store.part("clips", unit), ["clip_id", "video_id"]).to_pylist()
        source: dict[str, Path | str] = {}
        for clip in clips:
            video = videos.get(clip["video_id"])
            if video is None:
                source[clip["clip_id"]] = "its source video is not known"
            else:
                source[clip["clip_id"]] = self.sources.find(video["video_id"], video["url"], video["sha256"])
        return _Unit(frame_index, source, originals)


class _Kept(Generic[K, V]):
    """The last few results of a slow function. Two threads that want one wait for each other, others do not."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._values: OrderedDict[K, V] = OrderedDict()
        self._locks: dict[K, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V:
        """The result for `key`, made if it is not held."""
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            value = self._make(key)
            with self._lock:
                self._values[key] = value
                while len(self._values) > _KEPT_UNITS:
                    self._locks.pop(self._values.popitem(last=False)[0], None)
            return value
