"""The WebDataset form: tars of clips, one sample a clip, the key its id; byte for byte the same from every export.

<part>-000000.tar   <key>.json, <key>.001.jpg, <key>.002.jpg, ...
splits/, README.md
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..run.parts import frame_name
from .clip import ExportClip
from .contents import Contents
from .frames import FrameReader
from .guard import PathGuard
from .job import ExportJob
from .readme import readme
from .shards import Shard, plan_shards
from .tables import write_splits

_LOAD = """```python
import webdataset

shards = {shards}
for clip in webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"):
    labels, first = clip["json"], clip["001.jpg"]
```"""
_MEMBERS = (
    "A sample is a clip: its labels, span and source video in `json`, its frames as `001.jpg`, `002.jpg` and so on."
)


def write_webdataset(job: ExportJob) -> None:
    """Shards in DEST, the splits in DEST/splits, and README.md.

    Raises:
        FramesError, InputError, DiskFullError: see `write_shards`.
    """
    shards = _braced(write_shards(job).values())
    splits = write_splits(job)
    if not job.dest.has("README.md"):
        told = " `splits/` has the parts of clips." if splits else ""
        sums = " `SHA256SUMS` has the digest of every file; `export.json` says what was exported."
        text = readme(job.facts, load=_LOAD.format(shards=json.dumps(shards)), files=f"{_MEMBERS}{told}{sums}")
        job.guard.check_text("README.md", text)
        job.dest.write_text("README.md", text)


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


def _braced(names: Iterable[str]) -> str:
    """Names of shards as `webdataset` takes them, a part's in one: `train-{000000..000003}.tar::test-000000.tar`."""
    by_part: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        part, _, number = name.removesuffix(".tar").rpartition("-")
        by_part.setdefault(part, []).append(number)
    numbers = {part: held[0] if len(held) == 1 else f"{{{held[0]}..{held[-1]}}}" for part, held in by_part.items()}
    return "::".join(f"{part}-{number}.tar" for part, number in numbers.items())


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
