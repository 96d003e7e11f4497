"""What OUT holds of each source, and what has been done over its frames: marks in the metadata of its clips part.

A unit is one part of each table: a source video, or what an importer put together. `cgtool.fingerprint` of a part says
what a build or an import was asked for and stays as it is, so that neither does a unit again because of us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.errors import ErrorClass, InputError, VideoError
from ..core.schemas import FINGERPRINT_KEY
from ..core.types import VideoTask
from ..run.executor import WorkItem
from ..run.store import ANONYMISED_KEY, Store

SCENES_KEY = b"cgtool.scenes"
"""Fingerprint of what `label-scenes` was asked for when it filled the part's scene columns."""

FOUND = ["clip_id", "position", "path", "sha256"]
"""Columns that say where a frame is and which bytes it has."""


@dataclass(frozen=True)
class Unit:
    """One committed part of the clips table."""

    name: str
    n_clips: int
    asked: str
    """Fingerprint of what the build or import was asked for; empty where it noted none."""
    anonymised: str | None
    scenes: str | None

    @property
    def marks(self) -> dict[bytes, bytes]:
        """What the metadata of its parts says, to be written again."""
        marks = {FINGERPRINT_KEY: self.asked, ANONYMISED_KEY: self.anonymised, SCENES_KEY: self.scenes}
        return {key: value.encode() for key, value in marks.items() if value}


def read_unit(store: Store, name: str) -> Unit:
    """The unit of that name, from the metadata of its clips part."""
    file = pq.read_metadata(store.part("clips", name))
    marks = {key: value.decode() for key, value in (file.metadata or {}).items() if key.startswith(b"cgtool.")}
    return Unit(name, file.num_rows, marks.get(FINGERPRINT_KEY, ""), marks.get(ANONYMISED_KEY), marks.get(SCENES_KEY))


def read_units(store: Store) -> list[Unit]:
    """Every unit with clips, by name. Videos without any (dropped, removed) have nothing to work on."""
    units = (read_unit(store, path.stem) for path in store.parts("clips"))
    return [unit for unit in units if unit.n_clips]


def opened(out: Path) -> tuple[Store, dict[str, object]]:
    """The store of `out`, and its dataset.json.

    Raises:
        InputError: it is not an output directory.
    """
    store = Store(out)
    dataset = store.dataset()
    if dataset is None:
        raise InputError(
            f"{out} is not an output directory (it has no dataset.json)", "Name the --out of a build or an import"
        )
    return store, dataset


def work_items(units: Iterable[Unit], fingerprint_of: Callable[[Unit], str]) -> list[WorkItem]:
    """The units as work for an executor."""
    return [WorkItem(VideoTask(unit.name, "", ()), fingerprint_of(unit)) for unit in units]


def frames_part(store: Store, name: str) -> Path:
    """The unit's part of the frames table.

    Raises:
        VideoError: it is gone.
    """
    path = store.part("frames", name)
    if not path.is_file():
        raise VideoError(ErrorClass.INTERNAL, f"{path} is gone, which names its frames", "Restore it")
    return path


def originals(store: Store, unit: Unit) -> Path:
    """The table (FOUND) of a unit's frames as they were imported, written from its frames part where that is current.

    Raises:
        VideoError: the copies have taken their place and the table is gone, or a frame is not where imports leave it.
    """
    path = store.originals(unit.name)
    if unit.anonymised is None:
        write_table(path, pq.read_table(frames_part(store, unit.name), columns=FOUND))
    elif not path.is_file():
        raise VideoError(
            ErrorClass.INTERNAL,
            f"{path} is gone, which says where its original frames are",
            "Import into another --out and anonymise that",
        )
    return path


def check_clip_id(clip_id: str) -> str:
    """`clip_id`, seen to be fit for the name of a folder.

    Raises:
        VideoError: it is not.
    """
    if not re.fullmatch(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*", clip_id):
        raise VideoError(ErrorClass.INTERNAL, f"the clip id {clip_id!r} is no name for a folder")
    return clip_id


def rows_by_clip(frames: pa.Table) -> dict[str, list[int]]:
    """Row numbers of each clip's frames, ordered by position; clips in the order they first come in."""
    rows: dict[str, list[int]] = {}
    for number, clip_id in enumerate(frames["clip_id"].to_pylist()):
        rows.setdefault(clip_id, []).append(number)
    positions = frames["position"].to_pylist()
    return {clip_id: sorted(numbers, key=positions.__getitem__) for clip_id, numbers in rows.items()}
