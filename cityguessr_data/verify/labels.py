"""Labels agree with the taxonomy where it knows the name, and with each other: one id a name, one parent a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from ..core.taxonomy import Taxonomy
from ..core.types import LEVELS, Level, Place
from .findings import Fault, Mend
from .unit import UnitTables

_CHECK = "labels"
_HINT = "Run the build command with the taxonomy that it should have, or name that one here with --taxonomy"
_ABOVE = dict(pairwise(LEVELS))


class LabelCheck:
    """Remembers the places of all clips so far: they are few, whatever the number of clips.

    Args:
        taxonomy: what the ids should be; None: as was asked, and where that is not known, alike everywhere.
        asked: the places of the rows that the data set was built from, with the labels that they were given.
    """

    def __init__(self, taxonomy: Taxonomy | None, asked: Iterable[Place] = ()) -> None:
        self.taxonomy = taxonomy
        self._asked = {
            (level, getattr(place, level), getattr(place, _ABOVE[level]) if level in _ABOVE else ""): getattr(
                place, f"{level}_label"
            )
            for place in asked
            for level in LEVELS
        }
        # Doing a unit again gives it the labels of its rows: that mends what differs from these, and nothing else
        self._mend: Mend = "redo" if self._asked and taxonomy is None else "person"
        self._hint = "" if self._mend == "redo" else _HINT
        self._by_label: dict[tuple[Level, int], tuple[tuple[str, str], str]] = {}
        self._by_name: dict[tuple[Level, str, str], tuple[int | None, str]] = {}
        self._fit: set[tuple[Any, ...]] = set()

    def check(self, unit: UnitTables) -> Iterator[Fault]:
        """What is wrong with the places of a unit's clips."""
        for clip in unit.clips:
            place = tuple(clip[level] for level in LEVELS) + tuple(clip[f"{level}_label"] for level in LEVELS)
            if place in self._fit:
                continue
            wrong = list(self._wrong(clip))
            if not wrong:
                self._fit.add(place)
            for what in wrong:
                yield Fault(_CHECK, clip["clip_id"], what, self._mend, unit.name, self._hint)

    def _wrong(self, clip: dict[str, Any]) -> Iterator[str]:
        for level in LEVELS:
            name, label = clip[level], clip[f"{level}_label"]
            above = clip[_ABOVE[level]] if level in _ABOVE else ""
            if not name:
                yield f"has no {level}"
                continue
            if label is not None and label < 0:
                yield f"its {level}_label is {label}"
                continue
            known = self._known(level, name, clip)
            if known is not None and label != known:
                yield f"its {level} {name} has the id {label}, the taxonomy's is {known}"
                continue
            if known is not None and self.taxonomy and level in _ABOVE and self._parent(level, known) != above:
                yield f"its {level} {name} is in {above}, the taxonomy's is in {self._parent(level, known)}"
                continue
            if label is not None:
                held, first = self._by_label.setdefault((level, label), ((name, above), clip["clip_id"]))
                if held[0] != name:
                    yield f"its {level}_label {label} is {name} here and {held[0]} in {first}"
                    continue
                if held[1] != above:
                    yield f"its {level} {name} is in {above} here and in {held[1]} in {first}"
                    continue
            same, first = self._by_name.setdefault((level, name, above), (label, clip["clip_id"]))
            if same != label:
                yield f"its {level} {name} has the id {label} here and {same} in {first}"

    def _known(self, level: Level, name: str, clip: dict[str, Any]) -> int | None:
        """The id that the taxonomy gives to a name; None where it does not know it.

        A state outside the taxonomy may have the name of one in another country.
        """
        if self.taxonomy is None:
            return self._asked.get((level, name, clip[_ABOVE[level]] if level in _ABOVE else ""))
        label = self.taxonomy.label(level, name)
        if label is not None and level == "state" and self._parent(level, label) != clip["country"]:
            return None
        return label

    def _parent(self, level: Level, label: int) -> str:
        assert self.taxonomy is not None
        return self.taxonomy.names(_ABOVE[level])[self.taxonomy.parent(level, label)]
