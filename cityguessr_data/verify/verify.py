"""`cgtool verify OUT`: every check over an output directory, unit by unit. It changes nothing and takes no lock.

Memory holds one unit's tables, 24 bytes a clip, and the faults; files are read in threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from ..core.errors import InputError
from ..core.frame_files import FrameFiles
from ..core.schemas import UNIT_TABLES
from ..core.threads import n_cores
from ..core.words import n_of
from ..run.asked_rows import asked_tasks, places_of, unusable_rows
from ..run.store import Store, read_part
from .against import Sources, sources_of, taxonomy_of
from .asked import Asked
from .attempts import check_attempts
from .clip_index import ClipIndex, key_of
from .counts import Tally, check_counts, check_dataset
from .decisions import DecisionCheck
from .faces import check_faces
from .findings import Fault, Findings
from .frame_bytes import check_frames
from .labels import LabelCheck
from .leftovers import check_leftovers, unfinished_commits
from .manifests import ManifestCheck
from .orphans import Units, check_clips_folder, check_parts_folder, check_unit_files
from .pictures import check_pictures
from .removed import check_removed
from .rows import check_rows
from .scenes import check_scenes
from .second_names import other_video, tell_other
from .spans import check_spans
from .splits import check_splits
from .stored import StoredFrames
from .unit import WAITS, UnitTables, is_marked, part_fault, read_checked, read_unit
from .writing import is_being_written, marks_of_parts


@dataclass(frozen=True)
class VerifyConfig:
    """What `verify` can be told."""

    out: Path
    sources: Sources = "sample"
    """Which frames are compared with the kept sources: every one, some of each video, or none."""
    frames_a_video: int = 4
    """Of each video, where `sources` is `sample`."""
    taxonomy: Path | None = None
    """What labels must agree with; None: what its rows were given, and where that is not known, each other."""

    def __post_init__(self) -> None:
        if self.sources not in ("all", "sample", "none"):
            raise InputError(f"there is no --sources {self.sources}", "Give all, sample or none")
        if self.frames_a_video < 1:
            raise InputError(f"{self.frames_a_video} frames a video are none", "Give 1 or more, or --sources none")


class Watcher(Protocol):
    """Hears how far a verification is."""

    def planned(self, units: int) -> None:
        """So many units will be looked at."""

    def looked(self, frames: int) -> None:
        """One more unit was, which has so many frames."""


@dataclass
class VerifyResult:
    """What a verification came to."""

    out: Path
    findings: Findings = field(default_factory=Findings)
    n_units: int = 0
    was_written: bool = False
    """A run wrote to the data set meanwhile: what it was in the middle of may be told as a fault."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.findings.n == 0


def verify(config: VerifyConfig, watcher: Watcher | None = None) -> VerifyResult:
    """Look at everything, and change nothing.

    Raises:
        InputError: there is no data set, its dataset.json is damaged, or the taxonomy is not fit.
    """
    store, result = Store(config.out), VerifyResult(config.out)
    dataset = store.dataset()
    if dataset is None:
        raise InputError(
            f"{config.out} is not an output directory (it has no dataset.json)", "Name the --out of a build"
        )
    before, result.was_written = marks_of_parts(store), is_being_written(store)
    look = _Look(config, store, dataset, result.findings)
    look.units(watcher, result)
    look.whole()
    result.was_written = result.was_written or is_being_written(store) or marks_of_parts(store) != before
    return result


class _Look:
    """One verification under way."""

    def __init__(self, config: VerifyConfig, store: Store, dataset: dict[str, Any], findings: Findings) -> None:
        self.config, self.store, self.dataset, self.findings = config, store, dataset, findings
        self.asked = Asked.of(dataset)
        self.files = FrameFiles(store.out)
        self.index, self.tally = ClipIndex(), Tally()
        tasks = asked_tasks(store)
        self.rows_of = set(tasks)
        self.labels = LabelCheck(
            taxonomy_of(config.taxonomy, dataset, findings, is_known=bool(tasks)), places_of(tasks)
        )
        if why := unusable_rows(store):
            where, hint = ".cgtool/rows.parquet", "Run the build command: it writes anew what its table asks for"
            findings.add(Fault("dataset", where, why, "person", hint=hint))
        dataset_id = dataset.get("id")
        self.decisions = DecisionCheck(store, str(dataset_id) if dataset_id else None, findings)
        self.sources = sources_of(store, self.files, self.asked, findings, config.sources, config.frames_a_video)
        self.names = {table: {path.stem for path in store.parts(table)} for table in (*UNIT_TABLES, "attempts")}
        self.committed = self.names["clips"]
        self.copies, self.lost, self.unseen = set[str](), set[str](), set[str]()
        self.over, self.removed = set[str](), set[str]()
        self.is_tar = dataset.get("layout", "folder") == "tar"
        self.stored = StoredFrames(store, findings)
        self.cut_short = unfinished_commits(store)

    def units(self, watcher: Watcher | None, result: VerifyResult) -> None:
        """Every unit, in the order in which manifests have them."""
        units = sorted(set.union(*self.names.values()))
        result.n_units = len(units)
        if watcher:
            watcher.planned(len(units))
        with ManifestCheck(self.store, self.findings) as manifests, ThreadPoolExecutor(2 * n_cores()) as pool:
            for name in units:
                n_frames = self._unit(name, manifests, pool)
                if watcher:
                    watcher.looked(n_frames)
            manifests.end(self.committed - self.copies)

    def _unit(self, name: str, manifests: ManifestCheck, pool: ThreadPoolExecutor) -> int:
        """One unit; its frames."""
        committed = name in self.committed and name not in self.cut_short
        unit, faults = read_unit(self.store, name) if committed else (None, [])
        rejected = self.decisions.check(name)
        if committed and not self.asked.imported and (of := other_video(self.store, name, unit)) is not None:
            fault = tell_other(self.store, name, of, self.rows_of)
            self.findings.add(fault)
            if fault.mend == "delete":
                self.copies.add(name)
            else:  # where its rows end in the manifests is not known
                self.decisions.may_be_reviewed(name)
                self.unseen.add(name)
                for table in (*UNIT_TABLES, "attempts"):
                    manifests.give_up(table)
            return 0
        others = {table: self._other(table, name) for table in ("videos", "attempts")}
        self.findings.looked("tables", len(UNIT_TABLES) if committed else 0)
        if unit is not None and is_marked(unit.marks):  # all else that it is not is of no weight
            faults = [Fault("tables", f"parts/clips/{name}.parquet", WAITS, "redo", name)]
        self.findings.extend(faults)
        if name in self.cut_short or name in self.lost:
            for table in ("frames", "faces", "clips", "videos"):
                manifests.give_up(table)
        parts: dict[str, pa.Table | None] = {**(unit.tables if unit else {}), **others}
        for table in ("frames", "faces", "attempts", "videos", "clips"):
            is_there = name in self.names[table] or (committed and table in UNIT_TABLES)
            if is_there and manifests.wants(table, committed=committed):
                part = parts.get(table)
                if part is None:
                    manifests.give_up(table)
                else:
                    manifests.compare(table, name, part)
        if unit is None:
            if committed or name in self.cut_short or name in self.lost:
                self.unseen.add(name)
            return 0
        self._checks(unit, rejected, pool)
        return len(unit.frames["path"])

    def _other(self, table: str, name: str) -> pa.Table | None:
        """The videos or attempts part: of units that are not committed too."""
        if name not in self.names[table] or name in self.cut_short:
            return None
        read, why = read_checked(self.store.part(table, name), table)
        committed = name in self.committed
        self.findings.looked("attempts" if table == "attempts" else "tables", int(table == "attempts" or not committed))
        where = f"parts/{table}/{name}.parquet"
        if table == "attempts":
            if why:
                hint = "Delete this part: only the record of earlier attempts is lost"
                self.findings.add(Fault("attempts", where, why, "person", hint=hint))
            else:
                self.findings.extend(check_attempts(name, read))
        elif read is not None:
            statuses = read["status"].to_pylist()
            self.tally.add_videos(statuses)
            if not committed and statuses and "done" not in statuses:
                self.over.add(name)
                self.removed |= {name} if "removed" in statuses else set()
            if not committed and "done" in statuses:
                self.lost.add(name)
                self.findings.add(Fault("tables", f"parts/clips/{name}.parquet", "is missing", "redo", name))
        elif not committed:
            self.lost.add(name)
            self.findings.add(part_fault(self.store, table, name, why))
        return read

    def _checks(self, unit: UnitTables, rejected: set[Any], pool: ThreadPoolExecutor) -> None:
        findings, asked, n_clips = self.findings, self.asked, len(unit.clips)
        self.decisions.check_applied(unit)
        check_unit_files(self.store, unit, self.files, self.is_tar, findings)
        self.stored.check(unit)
        for clip in unit.clips:
            self.index.add(clip["clip_id"], clip["video_id"], unit.video.get("channel"))
        self.tally.add(unit)
        if is_marked(unit.marks):
            return
        for check in ("rows", "spans", "labels", "scenes"):
            findings.looked(check, n_clips)
        findings.extend(check_rows(unit, asked))
        findings.extend(check_spans(unit, asked))
        findings.extend(self.labels.check(unit))
        findings.extend(check_scenes(unit, asked))
        findings.looked("faces", len(unit.faces))
        findings.extend(check_faces(unit, asked, rejected))
        findings.looked("frames", len(unit.frames["path"]))
        findings.extend(check_frames(unit, asked, self.files, pool))
        if self.sources is not None and self._has_originals(unit.name):
            self.sources.check(unit)

    def _has_originals(self, name: str) -> bool:
        """Whether the table of a unit's originals can be read, where there is one."""
        path = self.store.originals(name)
        try:
            if path.exists():
                read_part(path, ["clip_id", "position", "path", "sha256"])
        except (OSError, ValueError, KeyError, pa.ArrowException) as exc:
            where, hint = path.relative_to(self.store.out).as_posix(), "Restore it from a copy"
            what = f"cannot be read ({str(exc).splitlines()[0][:100]})"
            self.findings.add(Fault("tables", where, what, "person", name, hint))
            return False
        return True

    def whole(self) -> None:
        """What is checked over all units, once they were seen."""
        store, findings = self.store, self.findings
        self._twice()
        self.decisions.end()
        if self.sources is not None:
            self.sources.end()
        own = (self.committed - self.copies) | self.cut_short | self.lost
        units = Units(own | self.copies, self.rows_of, self.over, self.removed, self.is_tar)
        check_clips_folder(store, units, self.files, findings)
        check_parts_folder(store, set.union(*self.names.values()), units, findings)
        self.stored.end(own)
        tombstones = check_removed(store, findings)
        check_dataset(self.dataset, asked=self.asked, tally=self.tally, findings=findings)
        if self.unseen:
            n = len(self.unseen)
            told = "could not be read, so counts and splits were not compared"
            findings.notes.append(f"{n_of(n, 'video')} {told}")
        else:
            check_counts(store, self.dataset, self.tally, self.index, findings)
            check_splits(store, self.index, tombstones.clips, findings)
        check_leftovers(store, findings)
        check_pictures(store, findings)

    def _twice(self) -> None:
        """Clips of one id in two units; looked for by name only where keys say that there are some."""
        keys = self.index.twice()
        if not keys:
            return
        first: dict[str, str] = {}
        for name in sorted(self.committed - self.cut_short):
            read, _ = read_checked(self.store.part("clips", name), "clips")
            for clip_id in [] if read is None else dict.fromkeys(read["clip_id"].to_pylist()):
                if key_of(clip_id) in keys and first.setdefault(clip_id, name) != name:
                    other = first[clip_id]
                    self.findings.add(Fault("rows", clip_id, f"is in {other} and in {name}", "redo", name))
