"""An output directory of random rows whose parts can come, change and go, without a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.schemas import FINGERPRINT_KEY, TABLES
from cityguessr_data.run.store import Store
from tests.support_out import Rows, random_rows

BIG = ("frames", "faces")


def rows_of_video(number: int, mark: str) -> Rows:
    """The rows of one video in every table; `mark` gives others."""
    rows = random_rows(seed=sum(mark.encode()) * 1000 + number, n_videos=1, frames=3)
    video_id = f"v{number:03d}"

    def renamed(value: Any) -> Any:
        return value.replace("v00", video_id) if isinstance(value, str) else value

    made = {table: [{k: renamed(v) for k, v in row.items()} for row in some] for table, some in rows.items()}
    for clip in made["clips"]:
        clip["fingerprint"] = mark
    for frame in made["frames"][::2]:
        frame["scene_top1"] = number
    started = 1_700_000_000_000_000
    attempt = {
        "video_id": video_id,
        "stage": "write",
        "attempt": 1,
        "status": "done",
        "started_at": started,
        "seconds": 1.0,
    }
    return {**made, "attempts": [attempt]}


def put(store: Store, number: int, mark: str = "a") -> Rows:
    """Write the parts of a video, in place of those that are there."""
    rows = rows_of_video(number, mark)
    for table in ("frames", "faces", "attempts", "videos", "clips"):
        schema = TABLES[table]
        marked = schema.with_metadata({**schema.metadata, FINGERPRINT_KEY: mark.encode()})
        write_table(store.part(table, f"v{number:03d}"), pa.Table.from_pylist(rows[table], marked))
    return rows


def take(store: Store, number: int) -> None:
    """Remove the parts of a video."""
    for table in ("clips", "frames", "faces", "attempts", "videos"):
        store.part(table, f"v{number:03d}").unlink(missing_ok=True)


def data_set(out: Path, n_videos: int) -> Store:
    """So many videos, not assembled."""
    store = Store(out)
    for number in range(n_videos):
        put(store, number)
    config = {"anonymise": {"conf": 0.5, "blur": {"mode": "paper"}}}
    (out / "dataset.json").write_text(json.dumps({"name": "set", "id": "0" * 32, "config": config}))
    return store


def from_parts(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a table by plain means: of the parts one by one, in the order of their names."""
    committed = {path.name for path in (store.out / "parts" / "clips").iterdir()}
    paths = sorted((store.out / "parts" / table).iterdir())
    return [
        row
        for path in paths
        if table in ("videos", "attempts") or path.name in committed
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def in_manifest(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a manifest by plain means, whatever their order; of a folder file by file."""
    path = store.out / "manifests" / f"{table}.parquet"
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def by_text(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a bag, to be compared whatever their order."""
    return sorted(repr(row) for row in rows)
