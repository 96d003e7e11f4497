"""Statistics of what goes out, which may be less than the data set has, and the figures of the card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ..core.atomic import write_json
from ..core.schemas import TABLES
from ..stats.results import Stats
from .contents import Contents

FIGURES = {"lorenz": "Lorenz curves of clips over classes", "map": "Clips by city on a map of the world"}
"""Name -> what it shows, for those who cannot see it."""
_PPI = 150


def measure_export(contents: Contents, folder: Path) -> Stats:
    """Measure the clips that go out.

    Args:
        folder: an empty place for tables that the measuring reads; nobody publishes it.
    """
    from ..stats.report import measure

    for name in ("clips", "frames", "faces"):
        path = folder / "manifests" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, TABLES[name], compression="zstd") as writer:
            for table in contents.tables(name):
                writer.write_table(table)
    videos = contents.videos
    if "reason" not in videos.column_names:
        videos = videos.append_column("reason", [[None] * videos.num_rows])
    pq.write_table(videos, folder / "manifests" / "videos.parquet")
    (folder / "splits").mkdir(exist_ok=True)
    for split in contents.splits:
        if {"train", "test"} <= set(split.part_of.values()):  # else nothing can leak
            pq.write_table(split.table(), folder / "splits" / f"{split.name}.parquet")
    write_json(folder / "dataset.json", {"name": contents.name, "config": contents.dataset.get("config", {})})
    return measure(folder)


def draw(stats: Stats) -> Iterator[tuple[str, bytes]]:
    """(name, PNG) of each figure of the card that the data has."""
    import vl_convert

    from ..stats.page.drawing import vega_lite_version
    from ..stats.page.figures import figures

    version = vega_lite_version()
    for figure in figures(stats):
        if figure.name in FIGURES:
            png: bytes = vl_convert.vegalite_to_png(figure.spec, vl_version=version, ppi=_PPI, allowed_base_urls=[])
            yield figure.name, png
