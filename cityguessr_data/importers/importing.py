"""Runs an import: what is new of a surveyed source goes into OUT, unit by unit, and nothing of it is ever half there.

A process that is killed leaves whole units; the same command goes on with the others. Frames are only read.
"""

from __future__ import annotations

import csv
import io
import platform
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.atomic import write_bytes
from ..core.errors import InputError
from ..core.schemas import SCHEMA_VERSION
from ..core.tables import harmless
from ..core.types import LEVELS
from ..core.words import n_of
from ..publish.ledger import forget_clips
from ..run.assemble import assemble, is_stale
from ..run.store import Store
from ..run.take_out import enforce, settle
from ..run.take_out_unit import ALL_CLIPS, remove_unit
from ..run.tally import count
from ..run.tombstones import Tombstones, read_tombstones
from .checking import CheckedUnit, checked_units
from .commit import commit, committed_mark, listing_mark
from .found import Fault, Survey, Unit
from .leaving_out import leave_out_whole, without_removed
from .published import LONG, published_counts
from .result import ImportResult, Listener
from .split_files import PublishedTest, make_by_clip, outdated_published, write_published, write_released

_COMMITTERS = 4
LEFT_OUT = "import_left_out.csv"
_PLURALS = {"city": "cities", "state": "states", "country": "countries", "continent": "continents"}


@dataclass
class _Tally:
    """What happens in one run."""

    done: int = 0
    clips: int = 0
    frames: int = 0
    seconds: float = 0.0
    mixed: int = 0
    removed: int = 0
    """Clips that were taken out for good, and that the source brought again."""
    others: int = 0
    an_other: str = ""
    """The first of them."""
    left: list[Fault] = field(default_factory=list)


def check_target(out: Path, kind: str, source: Path) -> None:
    """Refuse an OUT that holds something else, before the source is surveyed.

    Raises:
        InputError: it is a data set of a build, of another source folder, or no folder of ours.
    """
    dataset = Store(out).dataset()
    if dataset is None:
        if out.exists() and (not out.is_dir() or any(not p.name.startswith(".") for p in out.iterdir())):
            raise InputError(f"{out} is there and is no data set", "Choose another --out")
        return
    earlier = dataset.get("imported")
    if not isinstance(earlier, dict):
        raise InputError(f"{out} holds a data set that was built, not imported", "Choose another --out")
    if (earlier.get("from"), earlier.get("source")) != (kind, str(source)):
        raise InputError(
            f"{out} was imported from the {earlier.get('from')} in {earlier.get('source')}",
            "Choose another --out: one holds one source",
        )


def import_survey(
    survey: Survey, out: Path, listener: Listener, *, workers: int, test: PublishedTest | None = None
) -> ImportResult:
    """Import what OUT lacks of a surveyed source, and write its tables and splits.

    Args:
        workers: threads that read and decode.
        test: the published test list, for the split `published`.
    Raises:
        InputError: OUT holds something else, or the same source imported with other settings.
        MachineError, DiskFullError: OUT cannot be written. What is committed stays.
    """
    store = Store(out)
    check_target(out, survey.kind, survey.source)
    with store.locked():
        store.recover()
        tombstones = read_tombstones(store)
        _check_settings(store, survey)
        store.write_dataset(_described(store, survey))
        listener.planned(len(survey.unit_ids), survey.n_clips)
        tally = _Tally()
        try:
            _import_units(store, survey, listener, workers, tombstones, tally)
        finally:
            if tombstones:  # of a removal that was killed
                tally.removed += len(enforce(store, partial(forget_clips, store)).clip_ids)
            if is_stale(store) or "counts" not in (store.dataset() or {}):
                assemble(store)
                store.write_dataset(_described(store, survey) | {"counts": count(store)})
            settle(store)
        left = (*survey.left, *(test.unknown if test else ()), *tally.left)
        _write_left(out, left)
        return _result(store, survey, test, tally, left)


def _import_units(
    store: Store, survey: Survey, listener: Listener, workers: int, tombstones: Tombstones, tally: _Tally
) -> None:
    started, lock = time.monotonic(), Lock()

    def wanted() -> Iterator[Unit]:
        """Units that are not there yet; of the others only the listener hears."""
        for unit in survey.units():
            others = [f"{clip.folder}/{name}" for clip in unit.clips for name in clip.others]
            tally.others += len(others)
            tally.an_other = tally.an_other or next(iter(others), "")
            if committed_mark(store, unit) == listing_mark(unit):
                tally.done += 1
                listener.unit_ended(unit.unit_id, len(unit.clips), 0, was_done=True)
            elif leave_out_whole(store, unit, tombstones, lock):
                tally.done += 1
                tally.removed += len(unit.clips)
                listener.unit_ended(unit.unit_id, 0, 0, was_done=True)
            else:
                yield unit

    # Writing parts waits for the disk most of the time, and those of two units have nothing in common
    with ThreadPoolExecutor(_COMMITTERS, thread_name_prefix="commit") as pool:
        under_way: deque[tuple[CheckedUnit, Future[bool]]] = deque()
        try:
            for checked in checked_units(wanted(), survey.source, workers):
                kept = without_removed(checked, tombstones)
                n_removed = len(checked.clips) - len(kept.clips)
                tally.removed += n_removed
                under_way.append((kept, pool.submit(_commit, store, kept, n_removed, lock)))
                if len(under_way) > 2 * _COMMITTERS:
                    _ended(*under_way.popleft(), listener, tally)
            while under_way:
                _ended(*under_way.popleft(), listener, tally)
        finally:
            pool.shutdown(cancel_futures=True)
    tally.seconds = time.monotonic() - started


def _commit(store: Store, checked: CheckedUnit, n_removed: int, lock: Lock) -> bool:
    """Commit a unit, unless it is there with these very faults; whether it was committed.

    Args:
        n_removed: whole clips that are not among those of `checked`, because they were removed.
    """
    unit = checked.unit
    mark = listing_mark(unit, checked.faults)
    if (checked.clips or n_removed) and committed_mark(store, unit) == mark:
        return False
    if n_removed and not checked.clips:
        with lock:
            remove_unit(store, unit.unit_id, unit.url, ALL_CLIPS, mark)
    else:
        commit(store, unit, checked.clips, checked.faults, lock, n_removed)
    return True


def _ended(checked: CheckedUnit, committed: Future[bool], listener: Listener, tally: _Tally) -> None:
    """Wait for the commit of a unit, and count it."""
    tally.clips += len(checked.clips) * committed.result()
    n_frames = sum(len(clip.sha256) for clip in checked.clips)
    tally.frames += n_frames
    tally.mixed += checked.n_mixed
    tally.left += checked.faults
    listener.unit_ended(checked.unit.unit_id, len(checked.clips), n_frames, was_done=False)


def _check_settings(store: Store, survey: Survey) -> None:
    """Refuse the same source imported in another way."""
    earlier = dict((store.dataset() or {}).get("imported") or {}).get("settings", {})
    differing = [name for name, value in survey.settings.items() if earlier.get(name, value) != value]
    if differing and store.parts("clips"):
        told = ", ".join(f"{name} was {earlier[name]}, now {survey.settings[name]}" for name in differing)
        raise InputError(f"{store.out} was imported in another way ({told})", "Choose another --out")


def _described(store: Store, survey: Survey) -> dict[str, Any]:
    """The content of dataset.json; what other commands wrote there stays."""
    tools = {"python": platform.python_version()}
    for package in ("cgtool", "opencv-python-headless"):
        try:
            tools[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            tools[package] = "not installed as a package"
    fresh = {"name": store.out.resolve().name, "version": "0.1.0", "schema_version": SCHEMA_VERSION}
    imported = {"from": survey.kind, "source": str(survey.source), "settings": dict(survey.settings)}
    return fresh | {"tools": tools} | (store.dataset() or {}) | {"imported": imported}


def _write_left(out: Path, left: tuple[Fault, ...]) -> None:
    """OUT/import_left_out.csv: path and what; none where nothing was left out."""
    path = out / LEFT_OUT
    if not left:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "what"))
    writer.writerows((harmless(fault.path), harmless(fault.what)) for fault in left)
    write_bytes(path, text.getvalue().encode("utf-8", "replace"))


def _result(
    store: Store, survey: Survey, test: PublishedTest | None, tally: _Tally, left: tuple[Fault, ...]
) -> ImportResult:
    out = store.out
    clips = pq.read_table(out / "manifests" / "clips.parquet", columns=["clip_id", "n_sampled", "blur", *LEVELS])
    clip_ids = sorted(clips["clip_id"].to_pylist())
    notes = [*survey.notes, *_notes(store, survey, tally, clips)]
    splits = {}
    lacking = {"train", "test"} - set(survey.part_of.values())
    if survey.part_of and lacking:
        notes.append(f"the folders have no part {' and no part '.join(sorted(lacking))}: no split released was made")
    elif survey.part_of:
        splits["released"] = write_released(out, clip_ids, survey.part_of)
    if test is not None:
        splits["published"] = write_published(out, clip_ids, test)
    elif (outdated := outdated_published(out, clip_ids)) is not None:
        notes.append(outdated)
    if survey.settings.get("subset") == "paper21":
        parts, why = make_by_clip(out)
        splits |= {"by-clip": parts} if parts else {}
        notes += [why] if why else []
    counts = {
        "clips": clips.num_rows,
        **({LONG: pc.sum(pc.greater_equal(clips["n_sampled"], 15)).as_py() or 0} if survey.kind == "msls" else {}),
        "frames": pc.sum(clips["n_sampled"]).as_py() or 0,
        **{_PLURALS[level]: pc.count_distinct(clips[level]).as_py() for level in LEVELS},
        **next(iter(reversed(splits.values())), {}),
    }
    return ImportResult(
        out=out,
        kind=survey.kind,
        source=survey.source,
        counts=counts,
        published=published_counts(survey.kind, survey.settings),
        n_units=len(survey.unit_ids),
        n_units_done=tally.done,
        n_clips_new=tally.clips,
        n_frames_read=tally.frames,
        seconds=tally.seconds,
        left=left,
        n_unblurred=clips["blur"].null_count,
        splits=splits,
        notes=tuple(notes),
    )


def _odd_lengths(clips: pa.Table) -> Iterator[str]:
    """A gap in the numbers is a fault; that the last frames of a clip are missing shows only beside other clips."""
    lengths = clips["n_sampled"].to_pylist()
    if lengths:
        usual = max(Counter(lengths).items(), key=lambda item: (item[1], item[0]))[0]
        odd = sorted(
            (n, clip_id) for n, clip_id in zip(lengths, clips["clip_id"].to_pylist(), strict=True) if n != usual
        )
        if odd:
            n, clip_id = odd[0]
            yield f"{n_of(len(odd), 'clip')} with another number of frames than {usual}, e.g. {clip_id}: {n}"


def _notes(store: Store, survey: Survey, tally: _Tally, clips: pa.Table) -> Iterator[str]:
    if tally.others:
        yield f"{n_of(tally.others, 'file')} that are no frame passed over, e.g. {tally.an_other}"
    if tally.removed:
        yield f"{n_of(tally.removed, 'clip')} not taken in: removed from this data set before"
    if tally.mixed:
        yield f"{n_of(tally.mixed, 'clip')} with frames of several sizes: width and height are those of the first"
    if survey.kind == "cityguessr68k":
        yield from _odd_lengths(clips)
    gone = [part.stem for part in store.parts("clips") if part.stem not in survey.unit_ids]
    if gone:
        yield f"{n_of(len(gone), 'source')} imported before and not in the folder any more, e.g. {gone[0]}: kept"
