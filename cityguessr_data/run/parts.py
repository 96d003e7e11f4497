"""What a video's staging folder is filled with beside its frames (frame_sink.py): its parts of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import sync_file, sync_folder
from ..core.schemas import CLIPS, FACES, FRAMES, VIDEOS
from ..core.types import Face

if TYPE_CHECKING:
    from ..core.types import RGB


@dataclass(frozen=True)
class Counts:
    """What a video came to."""

    clips: int = 0
    frames: int = 0
    faces: int = 0
    """Boxes blurred."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.clips + other.clips, self.frames + other.frames, self.faces + other.faces)


_GROUP_ROWS = 5_000
"""Of a row group of a part: a group for each clip of 100 frames is read ten times more slowly, and is larger."""


class Parts:
    """The part files of one video under staging/parts, the big ones written some clips at a time.

    Args:
        marks: what the Parquet metadata of each says besides the schema's version, such as its fingerprint.
    """

    def __init__(self, staging: Path, marks: Mapping[bytes, bytes]) -> None:
        (staging / "clips").mkdir(parents=True)
        self.folder = staging / "parts"
        self.folder.mkdir()
        self._marks = dict(marks)
        self._frames = _Grouped(self._writer("frames", FRAMES))
        self._faces = _Grouped(self._writer("faces", FACES))

    def add(self, frames: list[dict[str, Any]], faces: list[dict[str, Any]]) -> None:
        """The rows of one clip."""
        self._frames.write(pa.Table.from_pylist(frames, FRAMES))
        self._faces.write(pa.Table.from_pylist(faces, FACES))

    def close(self, clips: list[dict[str, Any]], video: dict[str, Any] | None) -> None:
        """Write the clips and the videos part, and have all on the disk.

        Args:
            video: None leaves the committed videos part as it is.
        """
        self._frames.close()
        self._faces.close()
        with self._writer("clips", CLIPS) as writer:
            writer.write_table(pa.Table.from_pylist(clips, CLIPS))
        if video is not None:
            table = video_table(video)
            with self._writer("videos", table.schema) as writer:
                writer.write_table(table)
        for path in self.folder.iterdir():
            sync_file(path)
        sync_folder(self.folder)

    def _writer(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        marked = schema.with_metadata({**schema.metadata, **self._marks})
        return _PartWriter(self.folder / f"{name}.parquet", marked, compression="zstd")


class _PartWriter(pq.ParquetWriter):  # type: ignore[misc]
    """That of a video which is given up is only collected, and then nobody is told once more that the disk is full."""

    def __del__(self) -> None:
        with suppress(OSError):
            super().__del__()


class _Grouped:
    """Writes tables in row groups of a good size."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._pending: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self._pending.append(table)
        if sum(map(len, self._pending)) >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._pending:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._pending))
        self._pending = []


def video_table(row: dict[str, Any]) -> pa.Table:
    """One videos row as a table: the contract's columns, then the passed-through ones as strings."""
    extra = [pa.field(name, pa.string()) for name in row if name not in VIDEOS.names]
    return pa.Table.from_pylist([row], pa.schema([*VIDEOS, *extra], metadata=VIDEOS.metadata))


def face_rows(clip_id: str, position: int, frame_index: int | None, faces: Sequence[Face]) -> list[dict[str, Any]]:
    """The rows of the faces table of one frame."""
    return [
        {
            "clip_id": clip_id, "position": position, "frame_index": frame_index, "kind": face.kind,
            "x0": face.x0, "y0": face.y0, "x1": face.x1, "y1": face.y1, "score": face.score,
            "origin": face.origin, "blurred": face.blurred, "review": "pending",
        }
        for face in faces
    ]  # fmt: skip


def frame_name(position: int) -> str:
    """File name of a saved frame: 001.jpg for position 0."""
    return f"{position + 1:03d}.jpg"


def encode_jpeg(rgb: RGB, quality: int) -> bytes:
    """JPEG bytes of an RGB picture (H, W, 3) uint8."""
    import cv2

    ok, content = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"a picture of shape {rgb.shape} cannot be encoded as JPEG")
    return bytes(content)
