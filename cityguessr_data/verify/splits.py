"""OUT/splits: each clip in one part, clips that exist, and no video or channel on two sides of a split that says so."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..core.words import n_of
from ..run.store import Store
from ..splits.config import RULES
from ..splits.write import SCHEMA
from ..stats.leakage import PARTS
from .clip_index import ClipIndex, keys_of
from .findings import Fault, Findings
from .unit import marks_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from .clip_index import Keys

    Codes = npt.NDArray[np.int64]

_CHECK = "splits"


def check_splits(store: Store, index: ClipIndex, removed: Collection[str], findings: Findings) -> None:
    """See the module.

    Args:
        removed: ids of clips that were taken out, by their tombstones.
    """
    for path in sorted((store.out / "splits").glob("[!.]*")):
        findings.looked(_CHECK)
        for what, hint in _wrong(path, index, removed, findings.notes):
            findings.add(Fault(_CHECK, f"splits/{path.name}", what, "person", hint=hint))


def _wrong(path: Path, index: ClipIndex, removed: Collection[str], notes: list[str]) -> list[tuple[str, str]]:
    again = "Make it anew: `cgtool split OUT --replace` with its options"
    if path.suffix != ".parquet":
        return [("is no split", "It is not cgtool's: move it elsewhere")]
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        ids, parts = (table[name].to_pylist() for name in SCHEMA.names)
    except (OSError, ValueError, KeyError, pa.ArrowException) as exc:
        return [(f"cannot be read ({str(exc).splitlines()[0][:100]})", again)]
    wrong = []
    if unknown := sorted({str(part) for part in parts} - set(PARTS)):
        wrong.append((f"has the part {unknown[0]}, which is none", again))
    keys = keys_of(ids)
    if twice := len(keys) - len(np.unique(keys)):
        wrong.append((f"{twice} of its rows name a clip that stands there already", again))
    rows = index.find(keys)
    gone = [clip_id for clip_id, row in zip(ids, rows, strict=True) if row < 0]
    out = [clip_id for clip_id in gone if clip_id in removed]
    if out:
        wrong.append((f"names {n_of(len(out), 'removed clip')}, such as {out[0]}", again))
    if len(gone) > len(out):
        lost = next(clip_id for clip_id in gone if clip_id not in removed)
        wrong.append((f"names {n_of(len(gone) - len(out), 'missing clip')}, such as {lost}", again))
    rule = marks_of(table).get(b"cgtool.split_rule", b"").decode()
    if rule in RULES and rule != "clip":
        codes = np.array([PARTS.index(part) if part in PARTS else -1 for part in parts])
        shared = _shared(index.sources(rule), rows, codes)
        if shared:
            wrong.append((f"has {n_of(shared, rule)} in more than one part, and is a split by {rule}", again))
    if lacking := len(index) - int((np.unique(rows) >= 0).sum()):
        notes.append(f"the split {path.stem} has no part for {n_of(lacking, 'clip')}; `cgtool split` adds new ones")
    return wrong


def _shared(sources: Keys, rows: Codes, codes: Codes) -> int:
    """How many sources have clips in two parts; unknown ones count as none."""
    there = (rows >= 0) & (codes >= 0)
    source, code = sources[rows[there]], codes[there]
    pairs = np.unique(np.stack([source[source != 0], code[source != 0].astype(np.uint64)]), axis=1)
    _, n_parts = np.unique(pairs[0], return_counts=True)
    return int((n_parts > 1).sum())
