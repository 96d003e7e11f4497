"""What was removed for good is gone, and stays gone; the table that says so is whole."""

from __future__ import annotations

import pyarrow as pa

from ..core.errors import InputError
from ..core.words import is_or_are, n_of
from ..run.changelog import numbers, version_of
from ..run.doomed import Doomed, find_doomed
from ..run.store import Store, read_part
from ..run.tombstones import Tombstones, read_tombstones
from .findings import Fault, Findings

_CHECK = "removed"
_TELLING = ["kind", "id", "version"]


def check_removed(store: Store, findings: Findings) -> Tombstones:
    """See the module; the tombstones, for others to ask."""
    try:
        tombstones = read_tombstones(store)
    except InputError as exc:
        findings.add(Fault(_CHECK, "parts/tombstones", exc.message, "person", hint=exc.hint))
        return Tombstones()
    findings.looked(_CHECK, len(tombstones.rows))
    try:
        doomed = find_doomed(store, tombstones)
    except (OSError, ValueError, KeyError, IndexError, pa.ArrowException):
        findings.notes.append("what was removed could not be looked for, since parts are damaged")
        doomed = []
    findings.extend(Fault(_CHECK, one.unit, _still_there(one), "removal") for one in doomed)
    now = numbers(version_of(store))
    for stone in tombstones.rows:
        if numbers(stone.version) > now:
            findings.add(Fault(_CHECK, stone.id, f"the removal of this {stone.kind} is not finished", "removal"))
    if tombstones and not _is_put_together(store):
        where = "manifests/tombstones.parquet"
        findings.add(Fault(_CHECK, where, "does not say what its parts say", "assemble"))
    return tombstones


def _still_there(one: Doomed) -> str:
    if one.whole is not None:
        n = len(one.clip_ids)
        return f"was removed, and {n_of(n, 'clip')} of it {is_or_are(n)} there"
    return f"clips of it were removed and are there ({len(one.clip_ids)}), such as {one.clip_ids[0]}"


def _is_put_together(store: Store) -> bool:
    try:
        held = _rows(read_part(store.out / "manifests" / "tombstones.parquet", _TELLING))
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return False
    return held == _rows(*(read_part(path, _TELLING) for path in store.parts("tombstones")))


def _rows(*tables: pa.Table) -> list[tuple[str, ...]]:
    return sorted(tuple(row.values()) for table in tables for row in table.to_pylist())
