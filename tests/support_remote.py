"""An object store in memory that dies with its writer, and videos small enough to commit a thousand times.

`Dying` stands for a process that is killed: from its n-th writing request on nothing of it reaches the store any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.core.remote import objects
from cityguessr_data.core.remote.place import folder_of
from cityguessr_data.core.schemas import CLIPS, FACES, FINGERPRINT_KEY, FRAMES
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import video_table

URL = "memory://bucket/set"
WRITES = ("put_file", "pipe_file", "cp_file", "rm_file")


class Killed(BaseException):
    """Stands in for kill -9: nothing catches it."""


class Dying:
    """A file system of fsspec in front of which writes are counted, and refused from the n-th on."""

    def __init__(self, inner: Any, log: list[str], die_at: int) -> None:
        self._inner, self._log, self._die_at = inner, log, die_at

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in WRITES:
            return method

        def write(*args: Any, **kwargs: Any) -> Any:
            if len(self._log) + 1 >= self._die_at:
                raise Killed
            self._log.append(f"{name} {args[1 if name in ('put_file', 'cp_file') else 0]}")
            return method(*args, **kwargs)

        return write


@contextmanager
def memory_store(monkeypatch: pytest.MonkeyPatch, die_at: int = 1 << 30) -> Iterator[list[str]]:
    """Every url is one in memory; gives the log of writes. Those from number `die_at` on end in `Killed`."""
    log: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(objects, "_file_system", lambda _protocol: Dying(fsspec.filesystem("memory"), log, die_at))
        patch.setattr(objects, "_AT_ONCE", 1)
        yield log


def clear_memory() -> None:
    """Forget all that lies in memory."""
    fsspec.filesystem("memory").store.clear()


def held_in_memory() -> dict[str, bytes]:
    """Name -> bytes of all below URL but locks."""
    fs = fsspec.filesystem("memory")
    inside = "/bucket/set/"
    names = [name for name in fs.find("/bucket/set") if not name.startswith(f"{inside}.cgtool/lock/")]
    return {name.removeprefix(inside): fs.cat_file(name) for name in names}


def check_bare_objects() -> None:
    """That whoever knows no more than the places of the contract sees no video that is not whole."""
    held = held_in_memory()
    for name in [name for name in held if name.startswith("parts/clips/")]:
        clips = pq.read_table(pa.BufferReader(held[name])).to_pylist()
        frames = pq.read_table(pa.BufferReader(held[name.replace("/clips/", "/frames/")])).to_pylist()
        assert {row["clip_id"] for row in clips} == {row["clip_id"] for row in frames}, name
        for row in frames:
            assert hashlib.sha256(held[row["path"]]).hexdigest() == row["sha256"], row["path"]


def end_leases() -> None:
    """As if the time of every lease had run out."""
    fs = fsspec.filesystem("memory")
    for name in fs.find("/bucket/set/.cgtool/lock"):
        fs.rm_file(name)


def machine(root: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of URL on the machine whose disk is `root`."""
    monkeypatch.setenv("CGTOOL_WORK", str(root))
    return Store(folder_of(URL))


def stage(store: Store, video_id: str, mark: str, n_clips: int, n_frames: int = 2) -> Path:
    """A staged video, every file of which tells `mark`."""
    folder = store.new_staging(video_id)
    clips, frames = [], []
    (folder / "parts").mkdir(parents=True)
    for i in range(n_clips):
        clip_id = f"{video_id}_{i:05d}"
        (folder / "clips" / clip_id).mkdir(parents=True)
        row = dict.fromkeys(CLIPS.names) | {
            "clip_id": clip_id, "video_id": video_id, "clip_index": i, "width": 1, "height": 1, "city": mark,
            "state": "s", "country": "c", "continent": "k", "n_sampled": n_frames, "fingerprint": mark, "n_faces": 0,
            "frames_uri": f"clips/{video_id}/{clip_id}", "start_frame": 10 * i, "end_frame": 10 * i + 10,
        }  # fmt: skip
        clips.append(row)
        for position in range(n_frames):
            content = f"{mark} {clip_id} {position}".encode()
            name = f"{clip_id}/{position + 1:03d}.jpg"
            (folder / "clips" / name).write_bytes(content)
            frames.append(
                dict.fromkeys(FRAMES.names)
                | {
                    "clip_id": clip_id, "position": position, "path": f"clips/{video_id}/{name}",
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )  # fmt: skip
    video = {"video_id": video_id, "url": "u", "n_clips": n_clips, "status": "done", "title": mark}
    tables = {
        "clips": pa.Table.from_pylist(clips, CLIPS),
        "frames": pa.Table.from_pylist(frames, FRAMES),
        "faces": FACES.empty_table(),
        "videos": video_table(dict.fromkeys(("n_frames",)) | video),
    }
    for name, table in tables.items():
        marked = table.replace_schema_metadata({**(table.schema.metadata or {}), FINGERPRINT_KEY: mark.encode()})
        pq.write_table(marked, folder / "parts" / f"{name}.parquet")
    return folder


def whole_videos(store: Store) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Video -> (mark, clip ids) of what a reader of this working copy sees; fails where one is not whole."""
    files, found = FrameFiles(store.out), {}
    for part in store.parts("clips"):
        clips = pq.read_table(part).to_pylist()
        frames = pq.read_table(store.part("frames", part.stem)).to_pylist()
        (video,) = pq.read_table(store.part("videos", part.stem)).to_pylist()
        marks = {row["city"] for row in clips}
        assert len(marks) <= 1, f"{part.stem} mixes {marks}"
        assert {row["clip_id"] for row in clips} == {row["clip_id"] for row in frames}
        assert len(frames) == sum(row["n_sampled"] for row in clips)
        assert video["n_clips"] == len(clips)
        for row in frames:
            content = files.read(row["path"])
            assert hashlib.sha256(content).hexdigest() == row["sha256"], f"{row['path']} is {content!r}"
        found[part.stem] = (marks.pop() if marks else "", tuple(row["clip_id"] for row in clips))
    return found
