"""dataset.json and the preview say what is there: counts of videos, clips, frames, faces and places."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.schemas import SCHEMA_VERSION
from ..core.types import LEVELS
from ..run.store import Store
from .clip_index import ClipIndex, keys_of
from .findings import Fault, Findings
from .unit import UnitTables

_CHECK = "dataset"
_SHOWN = re.compile(r"<figcaption><b>(.*?)</b>")


@dataclass
class Tally:
    """Counts as `run/tally.py` makes them of the manifests, made of the parts."""

    videos: Counter[str] = field(default_factory=Counter)
    clips: int = 0
    frames: int = 0
    faces: int = 0
    places: Mapping[str, set[str]] = field(default_factory=lambda: {level: set() for level in LEVELS})
    n_blurred: int = 0
    """Clips of which somebody looked for faces: a data set without any has no preview."""

    def add(self, unit: UnitTables) -> None:
        """The clips of one more unit."""
        for clip in unit.clips:
            self.clips += 1
            self.frames += clip["n_sampled"]
            self.faces += clip["n_faces"] or 0
            self.n_blurred += clip["blur"] is not None
            for level in LEVELS:
                self.places[level].add(clip[level])

    def add_videos(self, statuses: list[str]) -> None:
        """Rows of the videos table, also of units that are not committed."""
        self.videos.update(statuses)

    @property
    def counts(self) -> dict[str, Any]:
        """As dataset.json has them."""
        return {
            "videos": dict(sorted(self.videos.items())),
            "clips": self.clips,
            "frames": self.frames,
            "faces_blurred": self.faces,
            **{f"{level}_classes": len(self.places[level]) for level in LEVELS},
        }


def check_dataset(store: Store, dataset: Mapping[str, Any], tally: Tally, index: ClipIndex, findings: Findings) -> None:
    """See the module."""
    version = dataset.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        hint = "Use the version of cgtool that made it"
        findings.add(Fault(_CHECK, "dataset.json", f"is of schema version {version}", "person", hint=hint))
    told = dataset.get("counts")
    if not isinstance(told, dict):
        findings.add(Fault(_CHECK, "dataset.json", "has no counts", "assemble"))
        told = {}
    for name, n in tally.counts.items():
        findings.looked(_CHECK)
        if told and told.get(name) != n:
            findings.add(Fault(_CHECK, "dataset.json", f"says {name}: {told.get(name)}, there are {n}", "assemble"))
    _check_preview(store, tally, index, findings)


def _check_preview(store: Store, tally: Tally, index: ClipIndex, findings: Findings) -> None:
    page = store.out / "preview.html"
    if not tally.n_blurred and not page.exists():
        return
    for path in (page, store.out / "preview.jpg"):
        findings.looked(_CHECK)
        if not path.is_file():
            findings.add(Fault(_CHECK, path.name, "is missing", "assemble"))
    if not page.is_file():
        return
    shown = [html.unescape(clip_id) for clip_id in _SHOWN.findall(page.read_text(encoding="utf-8", errors="replace"))]
    gone = [clip_id for clip_id, row in zip(shown, index.find(keys_of(shown)), strict=True) if row < 0]
    if gone:
        what = f"shows {len(gone)} clips that are not there, such as {gone[0]}"
        findings.add(Fault(_CHECK, page.name, what, "assemble"))
