"""OUT/preview.html and OUT/preview.jpg: what a person looks at first (paper, supplementary section 1 and Fig. 3)."""

from __future__ import annotations

import json
from pathlib import Path

from ..core.atomic import write_bytes, write_json
from .preview_html import page
from .preview_pick import Limits, pick
from .preview_sheet import contact_sheet


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
    write_bytes(out / "preview.html", page(picked).encode())
    write_bytes(out / "preview.jpg", contact_sheet(picked))
    if _note(out).parent.is_dir():  # an output directory, not a bare folder of tables
        write_json(_note(out), shown)


def preview_is_current(out: Path) -> bool:
    """Whether both files are there and were drawn from the clips manifest as it is now, whatever the clock says."""
    try:
        noted = json.loads(_note(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return noted == _stamp(out) and all((out / f"preview.{ending}").exists() for ending in ("html", "jpg"))


def _note(out: Path) -> Path:
    return out / ".cgtool" / "preview.json"


def _stamp(out: Path) -> list[int]:
    try:
        stat = (out / "manifests" / "clips.parquet").stat()
    except FileNotFoundError:
        return []
    return [stat.st_size, stat.st_mtime_ns]
