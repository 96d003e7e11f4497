"""What is known of an export, counted once for all that tells of it: README.md, croissant.json, export.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.types import LEVELS
from ..review.progress import ReviewProgress
from ..review.recall_report import RecallReport, read_report
from .contents import Contents
from .faces import FaceCounts, count_faces


@dataclass(frozen=True)
class Facts:
    """What is said of an export."""

    to: str
    """Its format."""
    contents: Contents
    classes: Mapping[str, int]
    """Level -> classes that its clips have."""
    faces: FaceCounts
    review: ReviewProgress
    recall: RecallReport | None
    """The newest measurement of a person; None where there is none."""
    contact: str | None
    """Who to ask for a removal."""


def facts_of(to: str, contents: Contents, review: ReviewProgress, contact: str | None) -> Facts:
    """Read and count them.

    Raises:
        InputError: decisions or a sample of a review are damaged.
    """
    found: dict[str, set[tuple[str, ...]]] = {level: set() for level in LEVELS}
    for table in contents.tables("clips"):
        for row in table.select(list(LEVELS)).to_pylist():
            for at, level in enumerate(LEVELS):
                found[level].add(tuple(row[name] for name in LEVELS[at:]))
    classes = {level: len(names) for level, names in found.items()}
    return Facts(to, contents, classes, count_faces(contents), review, read_report(contents.store), contact)
