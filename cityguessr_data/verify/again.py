"""Units whose review a repair must apply again, in OUT/.cgtool/review/again.json: noted before it redoes them.

A unit that is done again is as its build made it. Killed after that and before its review is applied, the note is what
tells the next look that something is lost; it goes when the review is applied.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from ..core.atomic import write_json
from ..run.store import Store


def path_of(store: Store) -> Path:
    """Where the note is."""
    return store.work / "review" / "again.json"


def read_again(store: Store) -> set[str]:
    """The units; none where there is no note.

    Raises:
        ValueError: the note is damaged.
    """
    path = path_of(store)
    if not path.is_file():
        return set()
    told = json.loads(path.read_text(encoding="utf-8"))
    units = told.get("units") if isinstance(told, dict) else None
    if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
        raise ValueError("it lists no units")
    return set(units)


def write_again(store: Store, units: Collection[str]) -> None:
    """Replace the note; without a unit there is none.

    Raises:
        DiskFullError: no space left.
    """
    if units:
        write_json(path_of(store), {"units": sorted(units)})
    else:
        path_of(store).unlink(missing_ok=True)
