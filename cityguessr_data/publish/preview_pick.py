"""Chooses what the preview shows: some clips of each city, the middle frame of each, as small JPEGs; and counts all."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.frame_files import FrameFiles, split_member
from ..core.partitions import is_manifest, manifest_batches, manifest_files, manifest_rows, read_manifest
from ..media.limits import picture_fault

_COLUMNS = [
    "clip_id",
    "video_id",
    "clip_index",
    "start_s",
    "end_s",
    "city",
    "state",
    "country",
    "continent",
    "n_sampled",
    "scene_majority",
    "n_faces",
    "blur",
]
_FRAME_COLUMNS = ["clip_id", "position", "path"]


@dataclass(frozen=True)
class Limits:
    """Caps that keep the preview small whatever the size of the data set."""

    clips_per_city: int = 12
    pictures: int = 600
    """Clips shown in all; with many cities each shows fewer, with more cities than this some show none."""
    width_px: int = 320
    """Width of a small picture."""
    page_bytes: int = 16 << 20
    """All small pictures together; later ones are left out."""


@dataclass(frozen=True)
class Card:
    """One clip that is shown."""

    clip_id: str
    title: str
    """Of its video, as its site gave it: never trusted."""
    start_s: float | None
    end_s: float | None
    scene: int | None
    """One of the 16 classes; None when scenes are off."""
    n_faces: int | None
    """Faces blurred in the whole clip; None when not known."""
    jpeg: bytes | None
    """The small picture; None: see `why_none`."""
    size_px: tuple[int, int]
    """Width and height of the picture."""
    why_none: str


@dataclass(frozen=True)
class City:
    """A city with some of its clips."""

    name: str
    country: str
    continent: str
    n_clips: int
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Picked:
    """All that the page and the sheet are drawn from."""

    name: str
    """Of the data set: its folder's."""
    n_videos: int
    """With at least one clip; lost sources of imported clips are none."""
    n_clips: int
    n_frames: int
    n_blurred: int
    cities: tuple[City, ...]
    """Ordered by continent, then by name; those without a card are counted but not shown."""


def pick(out: Path, limits: Limits) -> Picked:
    """Read the manifests of OUT, streaming the two large tables, and make the small pictures."""
    manifests = out / "manifests"
    clips = _rows(manifests / "clips.parquet", _COLUMNS)
    titles = {row["video_id"]: row["title"] or "" for row in _rows(manifests / "videos.parquet", ["video_id", "title"])}
    by_city: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in clips:
        by_city.setdefault((row["continent"], row["city"], row["country"]), []).append(row)
    each = max(1, min(limits.clips_per_city, limits.pictures // max(1, len(by_city))))
    chosen = {
        key: spread(rows)[: each if i < limits.pictures else 0] for i, (key, rows) in enumerate(sorted(by_city.items()))
    }
    wanted = {row["clip_id"]: row["n_sampled"] // 2 for rows in chosen.values() for row in rows}
    frames = middle_frames(manifests / "frames.parquet", wanted)
    files, cities, spent = FrameFiles(out), [], 0
    for (continent, city, country), rows in chosen.items():
        cards = []
        for row in rows:
            card = _card(files, row, titles, frames.get(row["clip_id"]), limits, spent)
            spent += len(card.jpeg or b"")
            cards.append(card)
        cities.append(City(city, country, continent, len(by_city[continent, city, country]), tuple(cards)))
    return Picked(
        name=out.resolve().name,
        n_videos=len({row["video_id"] for row in clips} - {None}),
        n_clips=len(clips),
        n_frames=manifest_rows(manifests / "frames.parquet"),
        n_blurred=_n_blurred(manifests / "faces.parquet"),
        cities=tuple(cities),
    )


def spread(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clips in the order to show them: the first of each video, then the second of each, and so on.

    Imported clips whose source video is lost take their turns as if they were of one.
    """
    taken: dict[str, int] = {}
    order = []
    for row in sorted(rows, key=lambda r: (r["video_id"] or "", r["clip_index"])):
        video = row["video_id"] or ""
        turn = taken[video] = taken.get(video, 0) + 1
        order.append((turn, video, row))
    return [row for *_, row in sorted(order, key=lambda item: item[:2])]


def middle_frames(frames_table: Path, wanted: Mapping[str, int]) -> dict[str, str]:
    """The path of the frame of each wanted clip whose position is nearest to the wanted one; streams the table."""
    best: dict[str, tuple[int, str]] = {}
    for batch in _rows_of_clips(frames_table, sorted(wanted)):
        columns = (batch[name].to_pylist() for name in _FRAME_COLUMNS)
        for clip_id, position, path in zip(*columns, strict=True):
            away = abs(position - wanted[clip_id])
            if clip_id not in best or away < best[clip_id][0]:
                best[clip_id] = (away, path)
    return {clip_id: path for clip_id, (_, path) in best.items()}


def _rows_of_clips(frames_table: Path, clip_ids: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """clip_id, position and path of the frames of some clips; row groups that hold none of these are not read."""
    import pyarrow.compute as pc

    wanted = pa.array(clip_ids, pa.string())
    for one in manifest_files(frames_table):
        with pq.ParquetFile(one, pre_buffer=False) as file:
            about = file.metadata
            groups = [n for n in range(about.num_row_groups) if _may_hold(about.row_group(n), clip_ids)]
            for batch in file.iter_batches(row_groups=groups, columns=_FRAME_COLUMNS):
                yield batch.filter(pc.is_in(batch["clip_id"], value_set=wanted))


def _may_hold(group: pq.RowGroupMetaData, clip_ids: Sequence[str]) -> bool:
    """By its least and its greatest clip id. `clip_ids` are sorted."""
    columns = (group.column(n) for n in range(group.num_columns))
    about = next(column.statistics for column in columns if column.path_in_schema == "clip_id")
    if about is None or not about.has_min_max:
        return True
    first = bisect_left(clip_ids, about.min)
    return first < len(clip_ids) and clip_ids[first] <= about.max


def _rows(table: Path, columns: list[str]) -> list[dict[str, Any]]:
    return read_manifest(table, columns).to_pylist() if is_manifest(table) else []


def _n_blurred(table: Path) -> int:
    found = manifest_batches(table, ["blurred"]) if is_manifest(table) else ()
    return sum(batch["blurred"].true_count for batch in found)


def _card(
    files: FrameFiles, row: Mapping[str, Any], titles: Mapping[str, str], path: str | None, limits: Limits, spent: int
) -> Card:
    jpeg, size, why = None, (limits.width_px, limits.width_px * 9 // 16), ""
    if row["blur"] is None:  # copied into the page, an unblurred face would come to lie under OUT
        why = "not shown: this clip is not anonymised yet"
    elif spent >= limits.page_bytes:
        why = "left out: this page is full"
    elif path is None or not _is_inside(files.out, path):
        why = "not shown: its frame is not a file of this folder"
    else:
        try:
            jpeg, size = _small(files.read(path), limits.width_px)
        except FileNotFoundError:
            why = "not shown: its frame is not a file of this folder"
        except OSError:
            why = "not shown: its frame cannot be read"
    return Card(
        clip_id=row["clip_id"],
        title=titles.get(row["video_id"], ""),
        start_s=row["start_s"],
        end_s=row["end_s"],
        scene=row["scene_majority"],
        n_faces=row["n_faces"],
        jpeg=jpeg,
        size_px=size,
        why_none=why,
    )


def _is_inside(out: Path, path: str) -> bool:
    """Whether the file that a frames row names lies under OUT, wherever links lead."""
    return (out / split_member(path)[0]).resolve().is_relative_to(out.resolve())


def _small(picture: bytes, width_px: int) -> tuple[bytes, tuple[int, int]]:
    """A frame at most `width_px` wide and as high, as JPEG, and its size.

    Raises:
        OSError: not a picture, or one that is too large to be decoded.
    """
    from PIL import Image

    if fault := picture_fault(picture):
        raise OSError(fault)
    with Image.open(io.BytesIO(picture)) as image:
        image.draft("RGB", (width_px, width_px))
        small = image.convert("RGB")
    small.thumbnail((width_px, width_px))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=72)
    return buffer.getvalue(), small.size
