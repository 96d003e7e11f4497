"""Makes the tables of an output directory without a build: random but plausible rows in the exact schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import TABLES
from cityguessr_data.core.taxonomy import Taxonomy

Rows = dict[str, list[dict[str, Any]]]


def random_rows(seed: int = 0, n_videos: int = 12, frames: int = 10) -> Rows:
    """Tables of a data set of `n_videos` videos in seven cities, by name; every clip has `frames` frames."""
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.named("cityguessr166")
    cities = [
        taxonomy.place(name)
        for name in ("Tokyo", "Austin", "Dallas", "London", "Lyon", "Osaka", "Sydney")
        if taxonomy.label("city", name) is not None
    ]
    rows: Rows = {name: [] for name in TABLES}
    for v in range(n_videos):
        video_id, place = f"v{v:02d}", cities[int(rng.integers(len(cities)))]
        n_clips = int(rng.integers(1, 5))
        rows["videos"].append(
            _row(
                "videos",
                video_id=video_id,
                url=f"https://example.org/{v}",
                title=f"Walk {v}",
                n_clips=n_clips,
                channel=None if v % 5 == 4 else f"channel {v % 3}",
                status="done",
                duration_s=float(60 + v),
                fps=30.0,
            )
        )
        for c in range(n_clips):
            clip_id, length = f"{video_id}_{c:05d}", int(rng.integers(800, 901))
            soft = rng.dirichlet(np.full(16, 0.3)).astype(np.float32)
            blurred_by_frame = rng.integers(0, 4, frames)
            rows["clips"].append(
                _row(
                    "clips",
                    clip_id=clip_id,
                    video_id=video_id,
                    clip_index=c,
                    n_frames=length,
                    fps=[25.0, 29.97, 30.0][v % 3],
                    width=[1280, 854][v % 2],
                    height=[720, 480][v % 2],
                    city=place.city,
                    state=place.state,
                    country=place.country,
                    continent=place.continent,
                    n_sampled=frames,
                    n_faces=int(blurred_by_frame.sum()),
                    scene_soft=None if v == 3 else soft.tolist(),
                    scene_majority=None if v == 3 else int(soft.argmax()),
                    blur="paper",
                    frames_uri=f"clips/{video_id}/{clip_id}",
                    fingerprint="f",
                    start_frame=c * 900,
                )
            )
            for p, n_blurred in enumerate(blurred_by_frame):
                rows["frames"].append(
                    _row(
                        "frames",
                        clip_id=clip_id,
                        position=p,
                        frame_index=c * 900 + p,
                        path=f"{clip_id}/{p}.jpg",
                        phash=int(rng.integers(-(2**63), 2**63)),
                        n_faces=int(n_blurred),
                    )
                )
                for f in range(int(n_blurred) + int(rng.integers(0, 3))):
                    blurred = f < n_blurred
                    score = float(rng.uniform(0.5, 1.0) if blurred else rng.uniform(0.05, 0.5))
                    x0, y0, side = rng.uniform(0, 300), rng.uniform(0, 300), rng.uniform(5, 90)
                    rows["faces"].append(
                        _row(
                            "faces",
                            clip_id=clip_id,
                            position=p,
                            kind="face",
                            x0=x0,
                            y0=y0,
                            x1=x0 + side,
                            y1=y0 + side,
                            score=score,
                            origin="detected" if f else "propagated" if blurred else "detected",
                            blurred=blurred,
                            review="accepted" if f == 1 else "pending",
                        )
                    )
    return rows


def write_out(
    out: Path, rows: Rows, conf: float | None = None, splits: dict[str, dict[str, str]] | None = None
) -> Path:
    """Write dataset.json, the manifests and splits (name -> clip_id -> part)."""
    (out / "manifests").mkdir(parents=True)
    config = {"anonymise": {"conf": conf, "blur": {"mode": "paper"}}}
    (out / "dataset.json").write_text(json.dumps({"name": out.name, "config": config}))
    for name, schema in TABLES.items():
        pq.write_table(
            pa.Table.from_pylist(rows[name], schema), out / "manifests" / f"{name}.parquet", row_group_size=50
        )
    for name, parts in (splits or {}).items():
        (out / "splits").mkdir(exist_ok=True)
        table = pa.table({"clip_id": list(parts), "part": list(parts.values())})
        pq.write_table(table, out / "splits" / f"{name}.parquet")
    return out


def _row(table: str, **values: Any) -> dict[str, Any]:
    return {name: values.get(name) for name in TABLES[table].names}
