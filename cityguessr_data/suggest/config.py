"""What `cgtool sources suggest` can be told; checked on construction."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import InputError
from ..media.download_config import DownloadConfig
from ..media.search import search_config


@dataclass(frozen=True)
class SuggestConfig:
    """How candidates are looked for. Defaults: 20 walking and driving tours of 10 to 20 minutes."""

    table: Path
    """Where the sources table is written."""
    cities: tuple[str, ...] = ()
    """None: those of the data set."""
    data: Path | None = None
    """A data set that is to be filled up."""
    taxonomy: Path | None = None
    """With a data set and no city named, its cities are searched for too."""
    n_videos: int = 20
    most_per_city: int | None = None
    min_duration_s: float = 600.0
    max_duration_s: float = 1200.0
    search: str = "ytsearch"
    """yt-dlp's name of a search."""
    look_up: bool = True
    """Ask for each candidate's licence and date: one request each."""
    replace: bool = False
    """Write over a table that is there."""
    network: DownloadConfig = field(default_factory=lambda: search_config(300.0))

    def __post_init__(self) -> None:
        if self.n_videos < 1 or (self.most_per_city is not None and self.most_per_city < 1):
            raise InputError("no candidate is asked for", "Give --count and --per-city a number of 1 or more")
        if not (0 <= self.min_duration_s <= self.max_duration_s and math.isfinite(self.max_duration_s)):
            raise InputError("no length is between the least and the greatest", "Check --min-minutes and --max-minutes")
        if self.table.exists() and not self.replace:
            raise InputError(f"{self.table} exists", "Choose another --out, or give --replace to write over it")
        if self.table.is_dir():
            raise InputError(f"{self.table} is a folder", "Name a file")
        if self.table.suffix.lower() != ".csv":
            raise InputError(f"{self.table} is no name of a CSV file", "Let it end in .csv")
        if not self.table.absolute().parent.is_dir():
            raise InputError(f"there is no folder {self.table.parent}", "Make it, or choose another --out")
