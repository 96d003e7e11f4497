"""Makes single frames anew from the kept source, where that gives the very bytes that their rows have the digest of.

So nothing but the file changes: tables, decisions and other frames stay, and no detector runs. A frame that comes out
otherwise (another library version made it) is left to the redoing of its whole video.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection

import pyarrow as pa

from ..core.atomic import sync_file, sync_folder
from ..core.errors import MediaError, disk_full_stops
from ..core.frame_files import is_under, split_member
from ..review.unblurred import Place, Unblurred
from ..run.store import Store
from .asked import Asked
from .compare import expected_jpeg
from .deleting import prune
from .own import is_linked
from .sources import blurred_boxes
from .unit import read_unit


def mend_frames(store: Store, unblurred: Unblurred, asked: Asked, name: str, paths: Collection[str]) -> set[str]:
    """Mend frames of one unit. `store` is locked.

    Args:
        paths: as the frames table has them. A member of a tar is not mended alone, nor what lies behind a link.
    Returns:
        Those that have their bytes again.
    Raises:
        DiskFullError: no space left.
        MachineError, StopError: the object store refuses, or does not answer.
    """
    unit, faults = read_unit(store, name)
    if unit is None or faults or asked.blur is None:
        return set()
    boxes, wanted = blurred_boxes(unit), dict[Place, tuple[str, str]]()
    columns = (unit.frames[column] for column in ("clip_id", "position", "path", "sha256"))
    mended: set[str] = set()
    try:
        for clip_id, position, path, sha256 in zip(*columns, strict=True):
            is_file = is_under(path) and split_member(path)[1] is None and path.startswith(f"clips/{name}/")
            is_here = is_file and path in paths and not is_linked(store.out, path.rpartition("/")[0])
            if is_here and sha256 and unblurred.why_none(name, clip_id) is None:
                wanted[clip_id, position] = (path, sha256)
        for place, rgb in unblurred.frames(name, wanted):
            path, sha256 = wanted[place]
            jpeg = expected_jpeg(rgb, boxes.get(place, ()), asked.blur, asked.jpeg_quality)
            if hashlib.sha256(jpeg).hexdigest() == sha256:
                _put(store, name, path, jpeg)
                mended.add(path)
    except (MediaError, OSError, ValueError, KeyError, pa.ArrowException):
        # Its source or a table of it breaks, or a folder lies where the frame belongs: the video as a whole is tried
        # next, and tells why
        return mended
    return mended


def _put(store: Store, unit: str, path: str, jpeg: bytes) -> None:
    """Put a frame in its place in one step: a link that is there goes, and what it leads to stays.

    Staged where the next run clears what a killed one left. Where OUT works for an object store, frames lie there.
    """
    target = store.out / path
    if store.copy is not None:
        store.copy.remote.put_bytes(path, jpeg)
        if target.is_file() and not target.is_symlink():
            target.unlink()  # of an earlier command, which left it on this machine
            prune(store, target.parent)
        return
    staging = store.new_staging(unit)
    with disk_full_stops(str(target)):
        staging.mkdir(parents=True)
        try:
            staged = staging / target.name
            staged.write_bytes(jpeg)
            sync_file(staged)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, target)  # noqa: PTH105 - the word says that the target may exist
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_folder(target.parent)
