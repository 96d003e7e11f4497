"""The output directory: what is committed, and how a staged video becomes committed.

A video is worked on in OUT/.cgtool/staging/, which no reader looks at, and only blurred frames are ever written there.
To commit it, its folder is renamed to OUT/.cgtool/ready/<video_id>: that one rename decides. Then its files are moved
to their places, the clips part last. A process killed before the rename leaves what was committed before as it was;
killed after it, the next run finishes the moving before it does anything else.

Where OUT works for an object store (remote/working_copy.py), the commit is made there, between that rename and the
moving.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import sync_folder, write_json
from ..core.errors import InputError, disk_full_stops, unfit_for_writing, writing_stops
from ..core.remote.place import told_place, url_of
from ..core.schemas import UNIT_TABLES
from .part_index import commits_of

if TYPE_CHECKING:
    from .remote.working_copy import WorkingCopy

ANONYMISED_KEY = b"cgtool.anonymised"
"""Fingerprint of what `anonymise` was asked for when it wrote a part; absent where it has not."""


@dataclass(frozen=True)
class Committed:
    """What OUT holds of one video."""

    video_id: str
    fingerprint: str


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A part, or some columns of it. Parts are small: pyarrow's usual way would mostly start threads for them."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=None if columns is None else list(columns), use_threads=False)


class Store:
    """An output directory on a local disk (contract 4)."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.work = out / ".cgtool"
        self._is_held = False

    @cached_property
    def copy(self) -> WorkingCopy | None:
        """What speaks with the object store that OUT works for; None where OUT stands for itself."""
        if url_of(self.out) is None:
            return None
        from ..core.remote.objects import of
        from .remote.working_copy import WorkingCopy

        remote = of(self.out)
        return None if remote is None else WorkingCopy(self.out, remote)

    @property
    def place(self) -> str:
        """Where the data set is, whoever asks: its url, or its absolute path."""
        return told_place(self.out)

    @property
    def name(self) -> str:
        """The last part of its place."""
        return self.place.rpartition("/")[2]

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """For what writes a file without `locked`: where OUT works for an object store, hold it and send the file."""
        with self.locked() if url_of(self.out) else nullcontext():
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold OUT for one writer; the system lets go of it when the process dies, however it dies.

        On an object store also there, up to date inside and sent at the end. It may be held again by its holder.

        Raises:
            InputError: another process is writing to it.
            MachineError: OUT cannot be made or written, or its file system has no locks.
            StopError: it is full, what is done inside cannot write to it any more, or the object store does not answer.
        """
        if self._is_held:
            yield
            return
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            probe = self.work / f"probe.{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as exc:
            raise unfit_for_writing(exc, str(self.out), "Choose another --out") from exc
        lock = filelock.FileLock(self.work / "lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as exc:
            raise InputError(f"another run is writing to {self.place}", "Wait for it to end, or stop it") from exc
        except OSError as exc:
            raise unfit_for_writing(exc, str(self.out), "Choose another --out", "locked") from exc
        try:
            with writing_stops(self.out), self.copy.locked() if self.copy else nullcontext():
                self._is_held = True
                yield
        finally:
            self._is_held = False
            lock.release()

    def recover(self) -> int:
        """Finish the moves that a killed run began and clear what it left half done. Returns how many it finished."""
        ready = sorted((self.work / "ready").glob("*"))
        for folder in ready:
            self._finish(folder)
        self.discard()
        shutil.rmtree(self.work / "trash", ignore_errors=True)
        for parent in (
            self.out,
            self.work,
            self.out / "manifests",
            *(self.out / "parts" / t for t in (*UNIT_TABLES, "attempts")),
        ):
            for leftover in parent.glob(".*.partial"):
                leftover.unlink(missing_ok=True)
        return len(ready)

    def new_staging(self, video_id: str) -> Path:
        """A fresh name for a folder to work on `video_id` in; the folder is made by whoever writes first."""
        return self.work / "staging" / f"{video_id}.{secrets.token_hex(6)}"

    def discard(self, video_id: str = "") -> None:
        """Remove what unfinished attempts staged: of one video, or of all. Nobody may be working on them any more."""
        for folder in (self.work / "staging").glob(f"{video_id}.*" if video_id else "*"):
            shutil.rmtree(folder, ignore_errors=True)  # a worker that was given up may write yet: the next run clears

    def commit(self, video_id: str, staging: Path) -> None:
        """Make a staged video the committed one, in place of an earlier one if there is one.

        Raises:
            DiskFullError: no space left; the next run finishes the commit.
        """
        ready = self.work / "ready" / video_id
        with disk_full_stops(str(self.out)):
            ready.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(ready)
            sync_folder(ready.parent)
            self._finish(ready)

    def _finish(self, ready: Path) -> None:
        """Commit a ready video on the object store, if there is one, and move it to its places."""
        if self.copy and (ready / "parts" / "clips.parquet").exists():
            self.copy.push_unit(ready)
        self._put_in_place(ready)
        if self.copy:
            self.copy.note_unit(ready.name)

    def _put_in_place(self, ready: Path) -> None:
        """Move a ready video to its places. Each step may have been done before: it can be repeated at any point."""
        video_id = ready.name
        folder, tar = self.out / "clips" / video_id, self.tar(video_id)
        if (ready / "parts" / "clips.parquet").exists():
            for table in UNIT_TABLES:
                self._make_way(self.part(table, video_id), is_folder=False)
            self.part("clips", video_id).unlink(missing_ok=True)  # an earlier result ends here
            if (ready / "clips").exists() or (ready / "clips.tar").exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                for staged, place in ((ready / "clips", folder), (ready / "clips.tar", tar)):
                    if staged.exists():
                        self._make_way(place, is_folder=staged.is_dir())
                for place in (folder, tar):
                    if place.exists() and place.is_dir() == (place == folder):
                        trash = self.work / "trash" / f"{place.name}.{secrets.token_hex(6)}"
                        trash.parent.mkdir(parents=True, exist_ok=True)
                        place.rename(trash)
                for staged, place in ((ready / "clips", folder), (ready / "clips.tar", tar)):
                    if staged.exists():
                        staged.rename(place)
                sync_folder(folder.parent)
            for table in UNIT_TABLES:
                part = self.part(table, video_id)
                part.parent.mkdir(parents=True, exist_ok=True)
                staged = ready / "parts" / f"{table}.parquet"
                if staged.exists():
                    os.replace(staged, part)  # noqa: PTH105 - the word says that the target may exist
                    sync_folder(part.parent)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        shutil.rmtree(ready)
        shutil.rmtree(self.work / "trash", ignore_errors=True)

    def _make_way(self, place: Path, *, is_folder: bool) -> None:
        """Set aside a folder where a file belongs, or the other way around: somebody put it there, and it is kept."""
        if place.exists() and place.is_dir() != is_folder:
            aside = self.work / "set_aside" / f"{place.name}.{secrets.token_hex(4)}"
            aside.parent.mkdir(parents=True, exist_ok=True)
            place.rename(aside)

    def tar(self, video_id: str) -> Path:
        """Where a video's frames are in one file, with `--layout tar`; else they are in clips/<video_id>/."""
        return self.out / "clips" / f"{video_id}.tar"

    def part(self, table: str, video_id: str) -> Path:
        """Path of a video's part of a table."""
        return self.out / "parts" / table / f"{video_id}.parquet"

    def parts(self, table: str) -> list[Path]:
        """All parts of a table, ordered by video id."""
        return sorted(p for p in (self.out / "parts" / table).glob("*.parquet") if not p.name.startswith("."))

    def committed(self) -> dict[str, Committed]:
        """Every committed video by id."""
        return {unit: Committed(unit, commit.fingerprint) for unit, commit in commits_of(self.out).items()}

    def check_whole(self, committed: Collection[str]) -> None:
        """See that the other parts of committed videos are there. None is opened.

        Raises:
            InputError: some are not: no commit of ours leaves that, but a lost file does, or a writer on an object
                store whose last request was under way when another took over.
        """
        for table in UNIT_TABLES:
            there = {path.stem for path in self.parts(table)}
            lacking = sorted(unit for unit in committed if unit not in there and self.part("clips", unit).exists())
            if lacking:
                more = f" and {len(lacking) - 1:,} more are" if len(lacking) > 1 else " is"
                raise InputError(
                    f"{self.out}/parts/{table}/{lacking[0]}.parquet{more} missing: not all of a video is there",
                    f"Run `cgtool verify {self.out} --repair`, which has it done again",
                )

    def originals(self, unit: str) -> Path:
        """Where the places of a unit's imported frames are kept, once blurred copies have taken their rows."""
        return self.work / "originals" / f"{unit}.parquet"

    def dataset(self) -> dict[str, Any] | None:
        """dataset.json, or None before the first run.

        Raises:
            InputError: it is not JSON, or no object.
        """
        path = self.out / "dataset.json"
        if not path.exists():
            return None
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(told, dict):
                raise ValueError("it holds no JSON object")
        except (ValueError, IsADirectoryError) as exc:
            raise InputError(f"{path} is damaged ({exc})", "Restore it, or choose another --out") from exc
        return told

    def dataset_id(self) -> str:
        """What tells this data set from others, in dataset.json from the first time it is asked for.

        Raises:
            InputError: there is no dataset.json.
        """
        dataset = self.dataset()
        if dataset is None:
            raise InputError(f"{self.out} is not an output directory (it has no dataset.json)", "Name one")
        if "id" not in dataset:
            self.write_dataset({"id": secrets.token_hex(16), **dataset})
            return self.dataset_id()
        return str(dataset["id"])

    def write_dataset(self, value: dict[str, Any]) -> None:
        """Replace dataset.json; left alone where it says the same already."""
        if value != self.dataset():
            write_json(self.out / "dataset.json", value)

    def plan(self) -> dict[str, Any]:
        """What the last run was asked for: its videos, the links it looked up, its cache. Empty before the first."""
        path = self.work / "plan.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
        except ValueError as exc:
            raise InputError(f"{path} is damaged ({exc})", "Delete it: the next build writes it again") from exc

    def write_plan(self, value: dict[str, Any]) -> None:
        """Replace the plan; left alone where it says the same already."""
        if value != self.plan():
            write_json(self.work / "plan.json", value)
