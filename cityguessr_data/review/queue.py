"""The clips of a data set in the order in which a person should look at them, read without a loop over their faces.

Clips that were made anew since somebody drew, blurred or dropped in them come first: what was seen there may be gone.
Then doubt: clips with a detection that almost was blurred, the highest such score first; then clips in which nothing
was detected, where a face may have been missed; then the rest. The order stays while a server runs, whatever is
decided: nothing jumps while somebody works.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..core.partitions import read_manifest
from ..core.schemas import CLIPS, FACES
from ..run.assemble import is_surely_fresh
from ..run.store import Store, read_part
from .decisions import Decision
from .faces import as_built
from .state import review_of

LEAST_SCORE = 0.05
"""Detections below are in no table (contract 4)."""

_CLIPS = pa.schema([CLIPS.field(name) for name in ("clip_id", "video_id", "fingerprint", "n_sampled", "blur")])
_FACES = pa.schema([FACES.field(name) for name in ("clip_id", "position", "score", "blurred")])
_THREADS = 4


class Group(IntEnum):
    """Why a clip stands where it stands."""

    ANEW = 0
    DOUBTFUL = 1
    WITHOUT = 2
    REST = 3


@dataclass(frozen=True)
class Queued:
    """A clip in the queue."""

    unit: str
    clip_id: str
    video_id: str | None
    fingerprint: str
    n_frames: int
    group: Group
    doubt: float | None
    """The highest score of a detection under the threshold that was not blurred."""
    first: int | None
    """Position of the first frame with a blurred face, as built."""
    position: int
    """Of the frame to show: that one, else the one with the highest-scored detection, else the middle one."""


def threshold_of(store: Store) -> float:
    """The score from which faces were blurred, as dataset.json has it; 1 where it does not say."""
    config = (store.dataset() or {}).get("config", {})
    return float(config.get("anonymise", {}).get("conf", 1.0))


def read_queue(store: Store, reviewed: Collection[str] = ()) -> tuple[Queued, ...]:
    """Every clip once, in the order to look at them.

    Args:
        reviewed: units with decisions; a review may have been applied to their face rows.

    Raises:
        InputError: there are no clips, or some were never anonymised.
    """
    units = [path.stem for path in store.parts("clips")]
    fresh = is_surely_fresh(store, ("clips", "faces"))
    clips = _clips(store, units, fresh)
    if not clips.num_rows:
        raise InputError(f"{store.out} holds no clips", "There is nothing to review")
    n_plain = clips["blur"].null_count
    if n_plain:
        raise InputError(
            f"{n_plain:,} of {clips.num_rows:,} clips of {store.out} were never anonymised",
            f"Run `cgtool anonymise {store.out}` first",
        )
    found = _per_clip(_faces(store, units, set(reviewed), fresh), threshold_of(store))
    queued = [_queued(row, found) for row in clips.to_pylist()]
    return tuple(sorted(queued, key=lambda one: (one.group, -(one.doubt or 0.0), one.clip_id)))


def anew_first(queue: Iterable[Queued], decisions: Iterable[Decision]) -> tuple[Queued, ...]:
    """The same queue, with the clips in front that were made anew since somebody looked at them (`outdated`).

    Args:
        decisions: all there are, about these clips and others, each clip's in their order.
    """
    about: dict[str, list[Decision]] = {}
    for decision in decisions:
        about.setdefault(decision.clip_id, []).append(decision)
    anew: list[Queued] = []
    others: list[Queued] = []
    for one in queue:
        outdated = one.clip_id in about and review_of(about[one.clip_id], one.fingerprint).outdated
        (anew if outdated else others).append(replace(one, group=Group.ANEW) if outdated else one)
    return (*anew, *others)


def _queued(row: dict[str, Any], found: _PerClip) -> Queued:
    clip_id, n_frames = row["clip_id"], row["n_sampled"]
    doubt, first = found.doubt.get(clip_id), found.first.get(clip_id)
    group = Group.DOUBTFUL if doubt is not None else Group.REST if clip_id in found.detected else Group.WITHOUT
    position = first if first is not None else found.best.get(clip_id, n_frames // 2)
    return Queued(row["unit"], clip_id, row["video_id"], row["fingerprint"], n_frames, group, doubt, first, position)


@dataclass(frozen=True)
class _PerClip:
    """By clip id; a clip is absent where nothing of the kind was detected."""

    detected: frozenset[str]
    doubt: dict[str, float]
    first: dict[str, int]
    best: dict[str, int]
    """Position of the highest-scored detection, of clips without a blurred face."""


def _per_clip(faces: pa.Table, threshold: float) -> _PerClip:
    blurred = faces.filter(faces["blurred"])
    doubtful = faces.filter(
        pc.and_(
            pc.invert(faces["blurred"]),
            pc.and_(pc.greater_equal(faces["score"], LEAST_SCORE), pc.less(faces["score"], threshold)),
        )
    )
    first = _column(blurred.group_by("clip_id").aggregate([("position", "min")]), "position_min")
    without = faces.filter(pc.invert(pc.is_in(faces["clip_id"], pa.array(first, pa.string()))))
    highest = without.group_by("clip_id").aggregate([("score", "max")])
    joined = without.join(highest, "clip_id")
    best = joined.filter(pc.equal(joined["score"], joined["score_max"]))
    return _PerClip(
        frozenset(pc.unique(faces["clip_id"]).to_pylist()),
        _column(doubtful.group_by("clip_id").aggregate([("score", "max")]), "score_max"),
        first,
        _column(best.group_by("clip_id").aggregate([("position", "min")]), "position_min"),
    )


def _column(table: pa.Table, name: str) -> dict[str, Any]:
    return dict(zip(table["clip_id"].to_pylist(), table[name].to_pylist(), strict=True))


def _clips(store: Store, units: list[str], fresh: bool) -> pa.Table:
    """_CLIPS of every clip, and its unit."""
    if fresh:  # one file in place of thousands, which tells the units where they are videos
        table = read_manifest(store.out / "manifests" / "clips.parquet", _CLIPS.names)
        if set(pc.unique(table["video_id"]).to_pylist()) <= set(units):
            return table.append_column("unit", table["video_id"])

    def read(unit: str) -> pa.Table:
        part = read_part(store.part("clips", unit), _CLIPS.names)
        return part.append_column("unit", pa.array([unit] * part.num_rows, pa.string()))

    return _together(read, units, _CLIPS.append(pa.field("unit", pa.string())))


def _faces(store: Store, units: list[str], reviewed: Collection[str], fresh: bool) -> pa.Table:
    """_FACES of every detection, as built."""
    applied = [unit for unit in units if unit in reviewed]
    built = _together(lambda unit: as_built(store, unit).select(_FACES.names), applied, _FACES)
    if not fresh:
        others = [unit for unit in units if unit not in reviewed and store.part("faces", unit).exists()]
        read = _together(lambda unit: read_part(store.part("faces", unit), _FACES.names), others, _FACES)
        return pa.concat_tables([read, built])
    table = read_manifest(store.out / "manifests" / "faces.parquet", _FACES.names)
    if applied:
        theirs = [one for unit in applied for one in read_part(store.part("clips", unit), ["clip_id"])["clip_id"]]
        table = table.filter(pc.invert(pc.is_in(table["clip_id"], pa.array(theirs, pa.string()))))
    return pa.concat_tables([table.replace_schema_metadata(), built])


def _together(read: Callable[[str], pa.Table], units: list[str], schema: pa.Schema) -> pa.Table:
    with ThreadPoolExecutor(_THREADS) as pool:
        tables = [table.replace_schema_metadata() for table in pool.map(read, units)]
    return pa.concat_tables([schema.empty_table(), *tables])
