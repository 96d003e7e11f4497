"""OUT/preview.html and OUT/preview.jpg: what a person looks at first (paper, supplementary section 1 and Fig. 3)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..core.atomic import write_bytes, write_json
from .preview_html import page
from .preview_pick import Limits, pick
from .preview_sheet import contact_sheet

_FILES = ("preview.html", "preview.jpg")


def write_preview(out: Path, limits: Limits | None = None) -> None:
    """Write both files from OUT/manifests and the blurred frames, each replaced in one step.

    One frame a clip, the middle one of those sampled, by continent and city. Only frames under OUT of clips that were
    blurred are shown. Works with no clips at all, and where scenes are off.

    Args:
        limits: caps on what is shown; what they leave out is said on the page and the sheet.

    Raises:
        DiskFullError: no space left.
    """
    shown = _stamp(out)
    picked = pick(out, limits or Limits())
    drawn = {"preview.html": page(picked).encode(), "preview.jpg": contact_sheet(picked)}
    for name, content in drawn.items():
        write_bytes(out / name, content)
    if _note(out).parent.is_dir():  # an output directory, not a bare folder of tables
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in drawn.items()}
        write_json(_note(out), {"of": shown, "sha256": digests})


def preview_is_current(out: Path) -> bool:
    """Whether both files are there and were drawn from the clips manifest as it is now, whatever the clock says."""
    return _noted(out).get("of") == _stamp(out) and all((out / name).exists() for name in _FILES)


def drawn_as_noted(out: Path, *, only_now: bool = False) -> dict[str, bool] | None:
    """By name, whether each of the files that are there has the bytes that it was written with.

    Args:
        only_now: ask only where they were drawn from the clips manifest as it is now: a working copy of an object
            store may have been given files that were drawn elsewhere.
    Returns:
        None where that is not noted: of another machine, or of an earlier version.
    """
    noted = _noted(out)
    digests = noted.get("sha256")
    if not isinstance(digests, dict) or (only_now and noted.get("of") != _stamp(out)):
        return None
    files = [name for name in _FILES if (out / name).is_file()]
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() == digests.get(name) for name in files}


def _note(out: Path) -> Path:
    return out / ".cgtool" / "preview.json"


def _noted(out: Path) -> dict[str, Any]:
    """What was noted when they were drawn; earlier versions noted the stamp alone."""
    try:
        noted = json.loads(_note(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {"of": noted}


def _stamp(out: Path) -> list[int]:
    try:
        stat = (out / "manifests" / "clips.parquet").stat()
    except FileNotFoundError:
        return []
    return [stat.st_size, stat.st_mtime_ns]
