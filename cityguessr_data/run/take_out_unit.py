"""Takes clips out of one unit, or the unit whole: staged and committed as a build stages and commits a video.

What stays keeps its bytes: files are linked into the staged unit, members of a tar and rows are copied. A kill before
the commit leaves the unit as it was, one after it is finished by `Store.recover`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.atomic import sync_file, sync_folder, write_table
from ..core.errors import disk_full_stops
from ..core.frame_files import FrameFiles, split_member
from ..core.schemas import FINGERPRINT_KEY, VIDEOS
from .frame_sink import append_member, end_tar
from .linked_frames import delete_linked
from .parts import Parts
from .store import Store, read_part

ALL_CLIPS = "all its clips were removed"


def remove_unit(store: Store, unit: str, url: str, reason: str, mark: str | None = None) -> None:
    """Leave of a unit its row in the videos table, which says that it was removed: no title, no channel, no digest.

    Args:
        mark: the fingerprint of what was asked for now; None: that of the clips which are there.
    Raises:
        DiskFullError: no space left; nothing has changed, or the next run finishes the commit.
    """
    for table in side_tables(store, unit):
        table.unlink(missing_ok=True)
    frames = store.part("frames", unit)
    if frames.exists():
        delete_linked(store, unit, read_part(frames, ["path"])["path"].to_pylist())
    part = store.part("clips", unit)
    staging = store.new_staging(unit)
    marks = _marks(part) if part.exists() else {}
    if mark is not None:
        marks = {FINGERPRINT_KEY: mark.encode()}
    with disk_full_stops(str(store.out)):
        Parts(staging, marks).close([], removed_row(unit, url, reason))
        sync_folder(staging)
        store.commit(unit, staging)


def remove_clips(store: Store, unit: str, url: str, clip_ids: Collection[str]) -> None:
    """Take some clips out of a unit. One without any clip left is removed whole.

    Raises:
        DiskFullError: no space left; nothing has changed, or the next run finishes the commit.
    """
    parts = {name: store.part(name, unit) for name in ("frames", "faces", "clips")}
    tables = {name: read_part(part) for name, part in parts.items() if part.exists()}
    kept = {name: _without(table, clip_ids) for name, table in tables.items()}
    if not kept["clips"].num_rows:
        remove_unit(store, unit, url, ALL_CLIPS)
        return
    for path in side_tables(store, unit):
        if path.exists() and (less := drop_rows(read_part(path), clip_ids)) is not None:
            write_table(path, less)
    videos = read_part(store.part("videos", unit))
    place = videos.schema.get_field_index("n_clips")
    n_clips = pa.array([kept["clips"].num_rows], videos.schema.field(place).type)
    kept["videos"] = videos.set_column(place, videos.schema.field(place), n_clips)
    staging = store.new_staging(unit)
    with disk_full_stops(str(store.out)):
        paths = kept["frames"]["path"].to_pylist()
        _link_frames(store, unit, paths, staging)
        _copy_members(store, unit, paths, staging)
        folder = staging / "parts"
        folder.mkdir()
        for name, table in kept.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
            sync_file(folder / f"{name}.parquet")
        sync_folder(folder)
        sync_folder(staging)
        delete_linked(store, unit, set(tables["frames"]["path"].to_pylist()) - set(paths), paths)
        store.commit(unit, staging)


def removed_row(video_id: str, url: str, reason: str) -> dict[str, Any]:
    """The videos row of a video that was taken out, or never taken in: nothing of what its site said of it."""
    row = dict.fromkeys(VIDEOS.names) | {"video_id": video_id, "url": url, "n_clips": 0, "status": "removed"}
    return row | {"reason": reason}


def drop_rows(table: pa.Table, clip_ids: Collection[str]) -> pa.Table | None:
    """`table` without the rows of these clips, its metadata kept; None where it has none of them."""
    gone = pc.is_in(table["clip_id"], pa.array(sorted(clip_ids), pa.string()))
    return table.filter(pc.invert(gone)) if pc.any(gone).as_py() else None


def _without(table: pa.Table, clip_ids: Collection[str]) -> pa.Table:
    less = drop_rows(table, clip_ids)
    return table if less is None else less


def side_tables(store: Store, unit: str) -> tuple[Path, ...]:
    """Where else rows of clips are kept: places of imported frames, and boxes and places before a review."""
    before_review = (store.work / "review" / what / f"{unit}.parquet" for what in ("faces", "places"))
    return store.originals(unit), *before_review


def _link_frames(store: Store, unit: str, paths: Sequence[str], staging: Path) -> None:
    """Give the files under OUT that `paths` name a second name under `staging`; a copy where links cannot be made.

    A file that is gone was gone before: taking out another clip is no reason to stop. The folder of a clip that lies
    behind a symbolic link stays behind one: a copy would leave pictures there that no later removal finds.
    """
    own = f"clips/{unit}/"
    (staging / "clips").mkdir(parents=True)
    folders, linked = set(), set()
    place = (store.out / "clips").resolve() / unit
    for told in paths:
        source = store.out / told
        if not told.startswith(own) or ".." in PurePosixPath(told).parts or not source.is_file():
            continue
        target = staging / "clips" / told.removeprefix(own)
        if target.parent in linked:
            continue
        if target.parent not in folders:
            if (
                target.parent.parent == staging / "clips"
                and (real := source.parent.resolve()) != place / target.parent.name
            ):
                target.parent.symlink_to(
                    os.path.relpath(real, place) if real.is_relative_to(store.out.resolve()) else real
                )
                linked.add(target.parent)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.add(target.parent)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
            sync_file(target)
    for folder in folders:
        sync_folder(folder)


def _copy_members(store: Store, unit: str, paths: Sequence[str], staging: Path) -> None:
    """Put those members of the unit's tar that `paths` name into a staged one; what is gone was gone before."""
    files, tar = FrameFiles(store.out), staging / "clips.tar"
    own = store.tar(unit).relative_to(store.out).as_posix()
    for told in paths:
        file, member = split_member(told)
        if file == own and member is not None:
            with suppress(FileNotFoundError):
                append_member(tar, member, files.read(told))
    if tar.exists():
        end_tar(tar)
        (staging / "clips").rmdir()  # a unit has its frames in one layout


def _marks(part: Path) -> dict[bytes, bytes]:
    """What the metadata of a unit's clips part says of what it was asked for."""
    metadata: dict[bytes, bytes] = pq.read_schema(part).metadata or {}
    return {key: value for key, value in metadata.items() if key.startswith(b"cgtool.")}
