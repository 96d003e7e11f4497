"""Folders that only their owner can enter: for sources and downloads, whose faces are not blurred yet."""

from __future__ import annotations

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder with mode 0700, and its parents as usual; one that is there stays as its owner set it.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
