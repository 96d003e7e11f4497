"""A clip that goes out, as every part of an export knows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportClip:
    """One clip that goes out."""

    clip_id: str
    unit: str
    key: str
    """The clip id; made safe for file names where it is not."""
    part: str
    """Of the split; empty without one."""
    n_frames: int
    n_bytes: int
    """Of its frames."""
    digest: str
    """Of its frames (`clip_digest`)."""
