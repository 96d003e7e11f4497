"""The decisions of a review are of this data set and whole: without them nobody knows what a person saw."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.errors import InputError
from ..core.schemas import DECISIONS
from ..core.words import n_of
from ..review.decisions import DATASET_KEY, Box, Decision, DecisionLog
from ..review.faces import APPLIED_KEY
from ..review.progress import marks_of
from ..review.state import review_of
from ..run.store import Store, read_part
from .again import path_of, read_again
from .findings import Fault, Findings
from .unit import UnitTables

_CHECK = "decisions"
_HINT = "Restore it from a copy: decisions cannot be made again by a machine"


class DecisionCheck:
    """Reads the decisions of one unit after the other.

    Args:
        dataset_id: of dataset.json; None where nobody has asked for it yet, and no decision can be.
    """

    def __init__(self, store: Store, dataset_id: str | None, findings: Findings) -> None:
        self.store, self.findings, self.n_rows = store, findings, 0
        self._id = dataset_id
        self._units = {path.stem for path in store.parts("decisions")}
        self._whole = True
        self._log: DecisionLog | None = None
        self._n_unapplied = 0
        try:
            self._again = read_again(store)
        except ValueError as exc:
            self._again = set()
            where = path_of(store).relative_to(store.out).as_posix()
            hint = "Delete it, and run `cgtool review --apply`"
            findings.add(Fault(_CHECK, where, f"cannot be read ({str(exc)[:100]})", "person", hint=hint))

    def check(self, unit: str) -> set[tuple[str, int, Box]]:
        """What was ever rejected in a unit: (clip_id, position, box)."""
        if unit not in self._units:
            return set()
        path = self.store.part("decisions", unit)
        if not self._says_whether_applied(unit):
            self.findings.reviewed.add(unit)
        where = path.relative_to(self.store.out).as_posix()
        self.findings.looked(_CHECK)
        try:
            table = read_part(path)
            if not table.schema.equals(DECISIONS):
                raise ValueError("it has other columns")
            told = (table.schema.metadata or {}).get(DATASET_KEY, b"").decode()
            rows = table.to_pylist()
        except (OSError, ValueError, pa.ArrowException) as exc:
            self.findings.add(Fault(_CHECK, where, f"cannot be read ({str(exc)[:100]})", "person", hint=_HINT))
            self._whole = False
            return set()
        if told != self._id:
            hint = "Take it away, or put back the one that belongs here"
            self.findings.add(Fault(_CHECK, where, "is about another data set", "person", hint=hint))
            self._whole = False
        self.n_rows += len(rows)
        rejected = [row for row in rows if row["action"] == "reject" and row["x0"] is not None]
        return {(row["clip_id"], row["position"], (row["x0"], row["y0"], row["x1"], row["y1"])) for row in rejected}

    def may_be_reviewed(self, unit: str) -> None:
        """A unit whose tables do not tell whether a review was applied to it: it is applied where it has one."""
        if unit in self._units:
            self.findings.reviewed.add(unit)

    def _says_whether_applied(self, unit: str) -> bool:
        """Whether the unit's clips part can be read, whose metadata say it."""
        path = self.store.part("clips", unit)
        try:
            if not path.is_file():
                return False
            pq.read_schema(path)
        except (OSError, ValueError, pa.ArrowException):
            return False
        return True

    def check_applied(self, unit: UnitTables) -> None:
        """A unit that says that a review was applied to it still has the decisions."""
        if APPLIED_KEY in unit.marks:
            self.findings.reviewed.add(unit.name)
        if APPLIED_KEY in unit.marks and unit.name not in self._units:
            where = f"parts/decisions/{unit.name}.parquet"
            self.findings.add(Fault(_CHECK, where, "is missing, and a review was applied", "person", hint=_HINT))
            self._whole = False

        elif unit.name in self._units and not self._is_applied(unit):
            if unit.name in self._again:
                what = "was done again, and its review is not applied again yet"
                self.findings.add(Fault(_CHECK, unit.name, what, "review", unit.name))
            else:
                self._n_unapplied += 1

    def _is_applied(self, unit: UnitTables) -> bool:
        """Whether the decisions that hold are those that were applied; True where they cannot be read."""
        if self._id is None:
            return True
        try:
            self._log = self._log or DecisionLog(self.store)
            decisions = self._log.read(unit.name)
            applied = json.loads(unit.marks.get(APPLIED_KEY, b"{}"))
        except (InputError, OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return True  # told by another check
        about: dict[str, list[Decision]] = {}
        for decision in decisions:
            about.setdefault(decision.clip_id, []).append(decision)
        fingerprints = {clip["clip_id"]: clip["fingerprint"] for clip in unit.clips}
        holding = marks_of({clip: review_of(about.get(clip, ()), mark) for clip, mark in fingerprints.items()})
        return bool(holding == {clip: mark for clip, mark in applied.items() if clip in fingerprints})

    def end(self) -> None:
        """All units were given: the manifest has their rows, where all of them could be read."""
        if self._n_unapplied:
            told = f"decisions about {n_of(self._n_unapplied, 'video')} are not carried out"
            self.findings.notes.append(f"{told}: `cgtool review --apply` does it")
        path = self.store.out / "manifests" / "decisions.parquet"
        if not self._whole or not path.exists():
            return  # it is put together when a review ends: until then there is none
        try:
            n_rows = read_part(path, ["decision_id"]).num_rows
        except (OSError, ValueError, KeyError, pa.ArrowException):
            n_rows = -1
        if n_rows > self.n_rows or n_rows < 0:
            told = path.relative_to(self.store.out).as_posix()
            what = "cannot be read" if n_rows < 0 else f"has {n_rows} decisions, the parts have {self.n_rows}"
            self.findings.add(Fault(_CHECK, told, what, "assemble"))
