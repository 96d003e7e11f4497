"""dataset.json and the preview say what is there: counts of videos, clips, frames, faces and places."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import InputError
from ..core.frame_files import is_under, split_member
from ..core.schemas import SCHEMA_VERSION
from ..core.types import LEVELS
from ..core.words import is_or_are, n_of
from ..publish.preview import drawn_as_noted
from ..run.frame_sink import layout_of
from ..run.store import Store
from .asked import Asked
from .clip_index import ClipIndex, keys_of
from .findings import Fault, Findings
from .unit import UnitTables

DATASET = "dataset.json"
_CHECK = "dataset"
_RESTORE = "Restore it from a copy: nothing is mended before"
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
    in_layout: Counter[str] = field(default_factory=Counter)
    """Frames under clips/ by how they are kept."""

    def add(self, unit: UnitTables) -> None:
        """The clips of one more unit."""
        for clip in unit.clips:
            self.clips += 1
            self.frames += clip["n_sampled"]
            self.faces += clip["n_faces"] or 0
            self.n_blurred += clip["blur"] is not None
            for level in LEVELS:
                self.places[level].add(clip[level])
        for path in unit.frames["path"]:
            if is_under(path):
                self.in_layout["folder" if split_member(path)[1] is None else "tar"] += 1

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


def check_dataset(dataset: Mapping[str, Any], *, asked: Asked, tally: Tally, findings: Findings) -> None:
    """What dataset.json says of how the data set was made, without which it can be neither checked nor mended.

    Args:
        tally: of the units that can be read.
    """
    told: list[tuple[str, str]] = []
    version = dataset.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        told.append((f"is of schema version {version}", "Use the version of cgtool that made it"))
    if asked.unsaid and (not asked.imported or tally.n_blurred):
        what = f"does not say, or not as cgtool writes it: {', '.join(asked.unsaid)}"
        told.append((f"{what}; what follows from it was not checked", _RESTORE))
    imported = dataset.get("imported")
    if asked.imported and not (isinstance(imported, dict) and isinstance(imported.get("from"), str)):
        told.append(("does not say what it was imported from", _RESTORE))
    try:
        layout = layout_of(dataset)
    except InputError as exc:
        told.append((exc.message.removeprefix("dataset.json "), _RESTORE))
    else:
        if others := tally.in_layout[{"tar": "folder", "folder": "tar"}[layout]]:
            what = f"says the layout {layout}, and {n_of(others, 'frame')} {is_or_are(others)} in the other one"
            told.append((what, _RESTORE))
    findings.extend(Fault(_CHECK, DATASET, what, "person", hint=hint) for what, hint in told)


def check_counts(store: Store, dataset: Mapping[str, Any], tally: Tally, index: ClipIndex, findings: Findings) -> None:
    """See the module."""
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
        what = f"shows {n_of(len(gone), 'missing clip')}, such as {gone[0]}"
        findings.add(Fault(_CHECK, page.name, what, "assemble"))
        return
    same = drawn_as_noted(store.out, only_now=store.copy is not None)
    if same is None:
        findings.notes.append("nothing says here what the preview looked like when it was drawn: it was not compared")
    for name, is_same in (same or {}).items():
        if not is_same:
            findings.add(Fault(_CHECK, name, "is not as cgtool drew it", "assemble"))
