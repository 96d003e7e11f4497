"""OUT/preview.html and OUT/preview.jpg: what a person looks at first (paper, supplementary section 1 and Fig. 3)."""

from __future__ import annotations

from pathlib import Path

from ..core.atomic import write_bytes
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
    picked = pick(out, limits or Limits())
    write_bytes(out / "preview.html", page(picked).encode())
    write_bytes(out / "preview.jpg", contact_sheet(picked))
