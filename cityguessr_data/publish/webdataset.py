"""The WebDataset form: tars of clips, one sample a clip, the key its id; byte for byte the same from every export.

<part>-000000.tar   <key>.json, <key>.001.jpg, <key>.002.jpg, ...
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..run.parts import frame_name
from .contents import Contents, ExportClip
from .frames import FrameReader
from .guard import PathGuard
from .job import ExportJob
from .shards import Shard, plan_shards
from .tables import write_splits


def write_webdataset(job: ExportJob) -> None:
    """Shards in DEST, and the splits in DEST/splits.

    Raises:
        FramesError, InputError, DiskFullError: see `write_shards`.
    """
    write_shards(job)
    write_splits(job)


def write_shards(job: ExportJob, folder: str = "") -> dict[str, str]:
    """Write the shards that are not there yet.

    Args:
        folder: where in DEST, with a `/` at its end; empty: DEST itself.
    Returns:
        Clip id -> name of its shard.
    Raises:
        FramesError: a frame is missing or is not the one that the tables name.
        InputError: a text holds a path of this machine.
        DiskFullError: no space left.
    """
    reader = FrameReader(job.contents.store)
    about = _About(job.contents, job.guard)
    shard_of: dict[str, str] = {}
    for shard in plan_shards(job.contents.clips, job.shard_bytes):
        name = folder + shard_name(shard)
        shard_of |= {clip.clip_id: name for clip in shard.clips}
        if job.dest.has(name):
            job.packed(len(shard.clips), sum(clip.n_bytes for clip in shard.clips))
        else:
            job.dest.write(name, _filler(job, shard, reader, about))
    return shard_of


def _filler(job: ExportJob, shard: Shard, reader: FrameReader, about: _About) -> Callable[[Path], None]:
    def fill(path: Path) -> None:
        with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for clip, jpegs in reader.read_all(shard.clips):
                _add(tar, f"{clip.key}.json", about.sample(clip, reader))
                for position, jpeg in enumerate(jpegs):
                    _add(tar, member_name(clip.key, position), jpeg)
                job.packed(1, clip.n_bytes)

    return fill


def shard_name(shard: Shard) -> str:
    """`clips-000000.tar`, or `train-000000.tar` where a split gives the parts."""
    return f"{shard.part or 'clips'}-{shard.number:06d}.tar"


def member_name(key: str, position: int) -> str:
    """`<key>.001.jpg` for position 0."""
    return f"{key}.{frame_name(position)}"


class _About:
    """What the JSON of a sample says: its row of the clips table, its frames, its video."""

    def __init__(self, contents: Contents, guard: PathGuard) -> None:
        self._contents = contents
        self._guard = guard
        self._videos = {row["video_id"]: row for row in contents.videos.to_pylist()}
        self._unit = ""
        self._clips: Mapping[str, dict[str, Any]] = {}

    def sample(self, clip: ExportClip, reader: FrameReader) -> bytes:
        """The JSON."""
        if self._unit != clip.unit:
            self._clips = {row["clip_id"]: row for row in self._contents.table("clips", clip.unit).to_pylist()}
            self._unit = clip.unit
        row = {name: value for name, value in self._clips[clip.clip_id].items() if name != "frames_uri"}
        frames = [
            {"member": frame_name(frame["position"]), **{name: frame[name] for name in _FRAME}}
            for frame in reader.rows(clip.unit, clip.clip_id)
        ]
        video = {name: value for name, value in self._videos.get(row["video_id"], {}).items() if value is not None}
        value = {"key": clip.key, **row, "part": clip.part or None, "video": video, "frames": frames}
        self._guard.check_value(f"the JSON of {clip.clip_id}", value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode()


_FRAME = ("position", "frame_index", "timestamp_s", "sha256")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # its times and owners are 0 and empty
    info.size = len(content)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(content))
