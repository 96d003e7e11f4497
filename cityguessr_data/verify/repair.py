"""`cgtool verify OUT --repair`: mends what a verification found by redoing it, and never loses what it cannot redo.

What is mended, and above all what is deleted, comes from a look made while nobody else writes. First what a killed run
left is finished or cleared; then parts are made again from the manifests, single frames are made anew, videos that need
more are done again, and their reviews are applied again; then what nobody names is deleted, and what follows from the
parts is put together. At the end everything is verified once more.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import CgtoolError, InputError, StopError
from ..core.frame_files import FrameFiles
from ..core.words import n_of
from ..over_frames.apply_review import apply_held
from ..pipeline import finish_removals
from ..publish.preview import write_preview
from ..review.decisions import DecisionLog
from ..review.lock import review_lock
from ..review.unblurred import Unblurred
from ..run.assemble import assemble
from ..run.executor import Listener
from ..run.store import Store
from ..run.tally import count
from ..run.tombstones import assemble_tombstones, read_tombstones
from .again import path_of, read_again, write_again
from .asked import Asked
from .counts import DATASET
from .deleting import delete_unnamed
from .findings import Findings
from .from_manifests import differs, is_removed, made_again, noted_rows, put_back
from .leftovers import check_leftovers
from .mend_frames import mend_frames
from .orphans import holds_others
from .own import is_own_partial, is_own_probe
from .redo import Means, Redone, redo
from .removed import check_removed
from .unit import WAITS, read_unit
from .verify import VerifyConfig, VerifyResult, Watcher, verify

Say = Callable[[str], None]
_OF_TABLES = ("tables", "rows", "spans", "faces", "labels", "scenes")
"""Checks whose faults are in the tables of a unit, not in its files."""


@dataclass
class Repaired:
    """What a repair did."""

    before: VerifyResult
    after: VerifyResult
    """The same where nothing was found."""
    deleted: list[str] = field(default_factory=list)
    """Paths relative to OUT."""
    kept: list[str] = field(default_factory=list)
    """Paths that no part names and that stay: the tables of their video are in doubt."""
    in_manifests: list[str] = field(default_factory=list)
    """Those of them that the manifests name."""
    from_manifests: list[str] = field(default_factory=list)
    """Units whose parts were made again from the manifests."""
    n_frames: int = 0
    """Made anew, each by itself."""
    redone: Redone = field(default_factory=Redone)
    reviewed: list[str] = field(default_factory=list)
    """Units that were redone, and to which their review was applied again."""
    not_reviewed: dict[str, str] = field(default_factory=dict)
    """Unit -> why its review is not applied again."""
    put_together: bool = False
    """Manifests, counts and preview were written anew."""
    why_not: str = ""
    """Why they could not be."""

    @property
    def failed(self) -> bool:
        """Whether anything that was to be mended is not."""
        return bool(self.redone.failed or self.redone.to_build or self.not_reviewed or self.why_not)


def repair(config: VerifyConfig, means: Means, listener: Listener, watcher: Watcher | None, say: Say) -> Repaired:
    """Verify, mend, and verify again.

    Args:
        say: is told each step before it begins.
    Raises:
        InputError: there is no data set, another run is writing to it, or a review of it is open.
        StopError: no space left; the same command goes on.
    """
    before = verify(config, watcher)
    if before.clean:
        return Repaired(before, before)
    done = Repaired(before, before)
    store = Store(config.out)
    with review_lock(store), store.locked():
        _finish_earlier(store, say, done)
        say("looking at everything while nobody writes")
        found = verify(config, watcher).findings
        noted = _noted(store) | found.units.get("review", set())
        if unfit := [fault for fault in found.of("dataset") if fault.where == DATASET and fault.mend == "person"]:
            done.why_not = f"{DATASET} {unfit[0].what}"
            return done
        changed = _from_manifests(store, found, say, done)
        found = found.without(done.from_manifests)
        may_be_redone = found.units.get("redo", set()) | found.units.get("frame", set())
        write_again(store, noted | (found.reviewed & may_be_redone))  # before the first of them is
        changed = _mend(store, found, means, listener, say, done) or changed
        again = noted | (found.reviewed & {*done.redone.done, *done.redone.to_build})
        _review_again(store, config, again, listener, say, done)
        deleted = delete_unnamed(store, found, done.redone.done, {*(done.redone.failed or {}), *done.redone.to_build})
        done.deleted, done.kept, done.in_manifests = done.deleted + deleted.gone, deleted.kept, deleted.named
        changed = bool(done.deleted) or changed
        if changed or again or found.mended_by("assemble"):
            say("putting the tables together")
            _put_together(store, found, done)
    say("looking at everything again")
    done.after = verify(config, watcher)
    return done


def _finish_earlier(store: Store, say: Say, done: Repaired) -> None:
    """Commits that were cut short are finished, what was half done is cleared, removals are carried out."""
    found = Findings()
    check_leftovers(store, found)
    check_removed(store, found)
    if found.mended_by("recover", "removal"):
        say("finishing what an earlier run left")
    store.recover()
    for fault in found.mended_by("recover"):
        path = store.out / fault.where
        if path.is_file() and (is_own_partial(path.name) or is_own_probe(path.name)):
            path.unlink(missing_ok=True)  # those that recovering does not look for
            done.deleted.append(fault.where)
    if found.mended_by("removal"):
        finish_removals(store)


def _from_manifests(store: Store, found: Findings, say: Say, done: Repaired) -> bool:
    """Parts that are damaged, or no longer name frames that are there. Returns whether there were any."""
    units = found.units.get("redo", set()) | {fault.unit for fault in found.of("orphans") if fault.mend == "delete"}
    units -= {fault.unit for fault in found.of("sources")}
    dataset = store.dataset() or {}
    if store.copy is not None or "imported" in dataset or not units or _are_damaged(found):
        return False
    asked, files, gone = Asked.of(dataset), FrameFiles(store.out), read_tombstones(store)
    for unit, noted in sorted(noted_rows(store, {unit for unit in units if unit is not None}).items()):
        if is_removed(unit, noted, gone):
            continue
        if (tables := made_again(store, unit, noted, asked, files)) is not None:
            say(f"making the parts of {unit} again from the manifests")
            put_back(store, unit, tables)
            done.from_manifests.append(unit)
    return bool(done.from_manifests)


def _are_damaged(found: Findings) -> bool:
    """Whether tombstones cannot be read: what is gone from the parts may have been removed."""
    return any(fault.mend == "person" for fault in found.of("removed"))


def _mend(store: Store, found: Findings, means: Means, listener: Listener, say: Say, done: Repaired) -> bool:
    """Frames by themselves where that is enough, whole videos else. Returns whether parts changed."""
    gone = {fault.unit for fault in found.mended_by("delete") if fault.where.startswith("parts/clips/")}
    whole = found.units.get("redo", set()) - gone
    single = found.units.get("frame", set()) - whole - gone
    if single:
        say(f"making frames of {n_of(len(single), 'video')} anew")
        unblurred, asked = Unblurred(store), Asked.of(store.dataset() or {})
        wanted: dict[str, set[str]] = {}
        for fault in found.mended_by("frame"):
            if fault.unit in single:
                wanted.setdefault(fault.unit, set()).add(fault.where)
        told = Counter(fault.unit for fault in found.mended_by("frame"))
        for unit in sorted(single):
            own = wanted.get(unit, set())
            mended = mend_frames(store, unblurred, asked, unit, own)
            done.n_frames += len(mended)
            if mended < own or told[unit] < found.n_frame_faults[unit]:  # not all faults of many are kept
                whole = whole | {unit}
    theirs = whole & {
        fault.unit for check in ("orphans", "tables") for fault in found.of(check) if fault.mend == "person"
    }
    is_tar = (store.dataset() or {}).get("layout") == "tar"
    unread = {unit for unit in whole if read_unit(store, unit)[0] is None}
    theirs |= {unit for unit in unread if holds_others(store, unit, is_tar=is_tar)}
    whole = whole - theirs
    if whole:
        say(f"doing {n_of(len(whole), 'video')} again")
        done.redone = redo(store, sorted(whole), means, listener, found.reviewed)
    if theirs:  # a commit replaces the folder of its video, with all that is in it
        why = "what is not cgtool's lies where its files belong: move it elsewhere first"
        done.redone = replace(done.redone, failed={**(done.redone.failed or {}), **dict.fromkeys(theirs, why)})
    return bool(whole)


def _put_together(store: Store, found: Findings, done: Repaired) -> None:
    """Manifests, counts and preview, from the parts; left alone where a part cannot be read."""
    left = {*(done.redone.failed or {}), *done.redone.to_build}
    broken = {fault.unit for fault in found.of("tables") if fault.mend == "redo" and fault.what != WAITS} & left
    if broken:  # manifests still say what its parts do not, such as the digest of its source
        done.why_not = f"the parts of {min(map(str, broken))} are not whole, and it was not done again"
        return
    if done.in_manifests:
        told = f"{n_of(len(done.in_manifests), 'frame')} that no part names, such as {done.in_manifests[0]}"
        done.why_not = f"the manifests name {told}"
        return
    in_tables = {fault.unit for check in _OF_TABLES for fault in found.of(check) if fault.mend in ("redo", "person")}
    doubtful = sorted(str(unit) for unit in in_tables & left)
    noted = noted_rows(store, doubtful) if doubtful else {}
    if lost := [unit for unit, rows in noted.items() if differs(store, unit, rows)]:
        done.why_not = (
            f"the parts of {lost[0]} are damaged, it was not done again, and the manifests say something else"
        )
        return
    if any(fault.check == "manifests" for fault in found.faults):
        # The note of what they were made from says that they are whole, and they are not
        (store.work / "assembled.parquet").unlink(missing_ok=True)
    try:
        if (store.out / "manifests" / "tombstones.parquet").exists() or store.parts("tombstones"):
            assemble_tombstones(store)
        if store.parts("decisions"):
            DecisionLog(store).assemble()
        assemble(store)
        dataset = store.dataset() or {}
        counts = dataset.get("counts")
        store.write_dataset({**dataset, "counts": {**(counts if isinstance(counts, dict) else {}), **count(store)}})
        blur = pq.read_table(store.out / "manifests" / "clips.parquet", columns=["blur"])["blur"]
        if "imported" not in dataset or blur.null_count < len(blur):
            write_preview(store.out)
        done.put_together = True
    except (InputError, OSError, ValueError, KeyError, pa.ArrowException) as exc:
        done.why_not = str(exc).splitlines()[0][:200]
        shutil.rmtree(store.work / "manifests", ignore_errors=True)  # what was half put together


def _noted(store: Store) -> set[str]:
    """Units whose review an earlier repair did not come to apply again.

    Raises:
        InputError: the note of them is damaged.
    """
    try:
        return read_again(store)
    except ValueError as exc:
        raise InputError(f"{path_of(store)} is damaged ({exc})", "Delete it, and run `cgtool review --apply`") from exc


def _review_again(
    store: Store, config: VerifyConfig, units: set[str], listener: Listener, say: Say, done: Repaired
) -> None:
    """A video that is done again is as its build made it: what its review drew, rejected or named is applied anew.

    Args:
        units: those that were done again, or that a note or a fault names.
    """
    waiting = units & set(done.redone.to_build)  # the next build does them again, and the next repair this
    if to_apply := units - waiting:
        say(f"applying the review of {n_of(len(to_apply), 'video')} again")
        try:
            result = apply_held(store, listener, only=to_apply, taxonomy=config.taxonomy)
        except StopError:
            raise
        except (CgtoolError, OSError, ValueError, KeyError, pa.ArrowException) as exc:
            done.not_reviewed = dict.fromkeys(to_apply, str(exc).splitlines()[0][:200])
        else:
            if result.interrupted:
                raise KeyboardInterrupt
            if result.stopped is not None:
                raise result.stopped
            done.not_reviewed = {one.video_id: one.message for one in result.report.failed}
        done.reviewed = sorted(to_apply - set(done.not_reviewed))
    write_again(store, waiting | set(done.not_reviewed))
