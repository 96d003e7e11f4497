"""Makes the two tables that a split reads, from a short list of videos, and reads splits back by SQL."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import CLIPS, VIDEOS


@dataclass(frozen=True)
class Video:
    """One source video with its clips by city."""

    name: str
    clips: Mapping[str, int]
    channel: str | None = None


def town(city: str, sizes: Sequence[int], channel: str | None = None) -> list[Video]:
    """Videos `<city>0`, `<city>1`, ... of one city with so many clips."""
    return [Video(f"{city}{i}", {city: n}, channel) for i, n in enumerate(sizes)]


def write_set(out: Path, videos: Sequence[Video], shuffle: int | None = None, source: bool = True) -> Path:
    """Write clips and videos, in place of those that are there.

    Args:
        shuffle: seed of an order of the rows; None: as given.
        source: False leaves the clips' video_id null.
    """
    clips = []
    for video in videos:
        cities = [city for city, n in video.clips.items() for _ in range(n)]
        for i, city in enumerate(cities):
            row = dict.fromkeys(CLIPS.names) | {"clip_id": f"{video.name}_{i:05d}", "clip_index": i}
            row |= {"city": city, "state": "S", "country": "C", "continent": "Asia", "n_sampled": 5}
            row |= {"video_id": video.name if source else None, "frames_uri": "x", "fingerprint": "f"}
            clips.append(row | {"width": 4, "height": 4})
    rows = [
        dict.fromkeys(VIDEOS.names)
        | {"video_id": v.name, "url": "u", "n_clips": sum(v.clips.values()), "status": "done", "channel": v.channel}
        for v in videos
    ]
    if shuffle is not None:
        random.Random(shuffle).shuffle(clips)
        random.Random(shuffle).shuffle(rows)
    (out / "manifests").mkdir(parents=True, exist_ok=True)
    for name, table, schema in (("clips", clips, CLIPS), ("videos", rows, VIDEOS)):
        nullable = pa.schema([field.with_nullable(True) for field in schema], schema.metadata)
        pq.write_table(pa.Table.from_pylist(table, nullable), out / "manifests" / f"{name}.parquet")
    return out


def sql(out: Path, query: str, name: str = "") -> list[tuple[object, ...]]:
    """Ask DuckDB; `s` is the split joined with its clips and videos."""
    joined = f"""
        WITH s AS (
            SELECT * FROM '{out}/splits/{name}.parquet'
            JOIN '{out}/manifests/clips.parquet' USING (clip_id)
            JOIN (SELECT video_id, channel FROM '{out}/manifests/videos.parquet') USING (video_id))
        """
    return duckdb.sql(joined + query).fetchall()


def parts_of(out: Path, name: str) -> dict[str, str]:
    """clip_id -> part."""
    table = pq.read_table(out / "splits" / f"{name}.parquet")
    return dict(zip(table["clip_id"].to_pylist(), table["part"].to_pylist(), strict=True))
