"""What reviewers decided: an append-only table, one part a unit, each row saying who, when and what.

A decision is on the disk before the page says so. Nothing is ever changed or taken out; `undo` is a decision too. What
the decisions come to is worked out in state.py.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.errors import InputError
from ..core.schemas import DECISIONS
from ..run.store import Store, read_part

DATASET_KEY = b"cgtool.dataset"
"""In the Parquet metadata: the id of the data set that the decisions are about."""

Action = Literal[
    "accept", "reject", "blur", "draw", "every-frame", "drop", "label", "mark", "unmark", "undo", "drawn", "looked"
]
MARKS = ("indoor", "montage", "title-card")
"""What a clip can be marked as."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px of the saved frame, before any growing; float32 values, so that they are found again."""


@dataclass(frozen=True)
class Decision:
    """One row of the decisions table (manifests/SCHEMA.md)."""

    action: Action
    """accept: the boxes of a frame are right. reject: one box is no face. blur: a box under the threshold is one.
    draw: a face that has no box. every-frame: all frames of the clip are to be looked at. drop: the clip is to go.
    label: its city. mark, unmark. undo: an earlier decision. drawn, looked: faces drawn and frames finished in a
    sample; they change nothing."""
    clip_id: str
    fingerprint: str
    """The clip's, as the reviewer saw it."""
    reviewer: str
    session: str
    decided_at: datetime
    decision_id: str
    position: int | None = None
    box: Box | None = None
    value: str | None = None
    undoes: str | None = None

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise InputError(f"there is no decision {self.action!r}", f"Give one of {', '.join(get_args(Action))}")
        needs = _NEEDS.get(self.action, ())
        lacking = [name for name in needs if getattr(self, name) is None]
        if lacking:
            raise InputError(f"a decision {self.action!r} lacks its {' and '.join(lacking)}", "Decide it again")
        if self.action in ("mark", "unmark") and self.value not in MARKS:
            raise InputError(f"{self.value!r} is no mark", f"Give one of {', '.join(MARKS)}")


_NEEDS: dict[str, tuple[str, ...]] = {
    "accept": ("position",),
    "reject": ("position", "box"),
    "blur": ("position", "box"),
    "draw": ("position", "box"),
    "drawn": ("position", "box"),
    "looked": ("position",),
    "label": ("value",),
    "mark": ("value",),
    "unmark": ("value",),
    "undo": ("undoes",),
}


def new_id() -> str:
    """An id for a decision."""
    return secrets.token_hex(16)


class DecisionLog:
    """The decisions of an output directory. May be shared by threads of one process; `review_lock` keeps processes
    apart. Whatever reads or adds raises InputError where what lies there is damaged, or about another data set.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dataset_id = store.dataset_id()
        self._lock = threading.Lock()
        self._check(store.out / "manifests" / "decisions.parquet")

    def units(self) -> list[str]:
        """Names of the units that have decisions."""
        return [path.stem for path in self.store.parts("decisions")]

    def read(self, unit: str) -> list[Decision]:
        """The decisions about clips of one unit, in the order they were made."""
        return [_decision(row) for row in self._part(unit).to_pylist()]

    def append(self, unit: str, decisions: Sequence[Decision]) -> None:
        """Add rows; they are on the disk when it returns, all or none.

        Raises:
            DiskFullError: no space left; nothing was added.
        """
        with self._lock:
            new = pa.Table.from_pylist([_row(decision) for decision in decisions], DECISIONS)
            table = pa.concat_tables([self._part(unit), new])
            write_table(self.store.part("decisions", unit), self._marked(table))

    def assemble(self) -> int:
        """Put the parts together into OUT/manifests/decisions.parquet, by time. Returns the rows; 0 writes none."""
        parts = [self._part(unit) for unit in self.units()]
        if not parts:
            return 0
        table = pa.concat_tables(parts).sort_by([("decided_at", "ascending"), ("decision_id", "ascending")])
        path = self.store.out / "manifests" / "decisions.parquet"
        if not (path.exists() and read_part(path).equals(table)):
            write_table(path, self._marked(table))
        return int(table.num_rows)

    def _marked(self, table: pa.Table) -> pa.Table:
        metadata = {**(DECISIONS.metadata or {}), DATASET_KEY: self.dataset_id.encode()}
        return table.replace_schema_metadata(metadata)

    def _part(self, unit: str) -> pa.Table:
        path = self.store.part("decisions", unit)
        self._check(path)
        return read_part(path) if path.exists() else DECISIONS.empty_table()

    def _check(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            told = (pq.read_schema(path).metadata or {}).get(DATASET_KEY, b"").decode()
        except (pa.ArrowException, OSError) as exc:
            raise InputError(f"{path} is damaged ({exc})", "Restore it from a copy") from exc
        if told != self.dataset_id:
            raise InputError(
                f"{path} holds decisions about another data set", "Take it away, or put back the one that belongs here"
            )


def _row(decision: Decision) -> dict[str, Any]:
    x0, y0, x1, y1 = decision.box or (None, None, None, None)
    values = {name: getattr(decision, name, None) for name in DECISIONS.names}
    return values | {"x0": x0, "y0": y0, "x1": x1, "y1": y1}


def _decision(row: dict[str, Any]) -> Decision:
    corners = [row.pop(name) for name in ("x0", "y0", "x1", "y1")]
    box = None if corners[0] is None else (corners[0], corners[1], corners[2], corners[3])
    return Decision(**row, box=box)
