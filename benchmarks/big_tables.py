"""Makes the tables of a data set as big as the paper's, without a single picture: python -m benchmarks.big_tables DIR

68,269 clips of 166 cities, 6.8 million frames, about 110 million faces, with the columns, the order and the row groups
that a build writes. The values are made up: scores and box heights have the spread that RetinaFace has on street
footage, hashes drift from frame to frame, many videos begin with the same picture, and a few clips copy one of another
video. Memory stays small: faces are made for some clips, written, and forgotten. The same arguments give the same
tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import SCHEMA_VERSION, TABLES
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS

from .big_rows import (
    CONF,
    FACES_PER_CLIP,
    HEIGHT_PX,
    SAMPLES,
    WIDTH_PX,
    Ints,
    face_rows,
    frame_hashes,
    frame_rows,
    of_few,
)

N_CLIPS = 68_269
CLIPS_PER_VIDEO = 14
GROUP_ROWS = 100_000
SIGMA = 0.661  # of the logarithms of the clips per city: lognormal counts then have a Gini of 0.36, the paper's
LOST = ("dropped", "failed", "removed")
_ID = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


@dataclass(frozen=True)
class Plan:
    """What is known of every clip before any face: one entry a clip, in the order of the tables."""

    video_ids: tuple[str, ...]
    """(v,) ascending."""
    video: Ints
    """(n,) index of the clip's video, ascending."""
    index: Ints
    """(n,) clip index within its video."""
    city: Ints
    """(v,) taxonomy label of the video's city."""
    channel: Ints
    """(v,) channel of the video; -1: unknown."""

    @property
    def clip_ids(self) -> list[str]:
        """(n,)."""
        return [f"{self.video_ids[v]}_{i:05d}" for v, i in zip(self.video, self.index, strict=True)]


def plan(n_clips: int, n_cities: int, rng: np.random.Generator) -> Plan:
    """Share the clips out over cities unevenly, and over videos of 1 to about 100 clips."""
    weight = rng.lognormal(0, SIGMA, n_cities)
    per_city = np.maximum(1, np.floor(weight / weight.sum() * n_clips)).astype(np.int64)
    per_city[np.argmax(per_city)] += n_clips - per_city.sum()
    sizes, cities = [], []
    for city, left in enumerate(per_city.tolist()):
        while left:
            size = min(left, int(rng.geometric(1 / CLIPS_PER_VIDEO)))
            sizes.append(size)
            cities.append(city)
            left -= size
    order = rng.permutation(len(sizes))
    n_videos = len(sizes)
    tails = rng.choice(_ID, (n_videos, 11))
    ids = tuple(sorted("youtube_" + tail.tobytes().decode() for tail in tails))
    size = np.array(sizes)[order]
    video = np.repeat(np.arange(n_videos), size)
    first = np.cumsum(size) - size
    channel = (rng.pareto(1.2, n_videos) * n_videos / 60).astype(np.int64) % max(2, n_videos // 6)
    channel[rng.random(n_videos) < 0.05] = -1
    return Plan(ids, video, np.arange(len(video)) - first[video], np.array(cities)[order], channel)


class Writer:
    """One manifest, in row groups of `GROUP_ROWS` or a little more, as a build writes them."""

    def __init__(self, folder: Path, table: str) -> None:
        self.schema = TABLES[table]
        self._writer = pq.ParquetWriter(folder / f"{table}.parquet", self.schema, compression="zstd")
        self._pending: list[pa.Table] = []

    def write(self, columns: dict[str, pa.Array]) -> None:
        """Add rows; columns that are not given are null."""
        n = len(next(iter(columns.values())))
        arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in self.schema]
        self._pending.append(pa.table(arrays, schema=self.schema))
        if sum(map(len, self._pending)) >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        if self._pending:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(pa.concat_tables(self._pending))
        self._pending = []


def make(out: Path, scale: float, seed: int) -> dict[str, int]:
    """Write OUT/dataset.json, OUT/manifests/ and a split by clip; gives rows by table."""
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.named("cityguessr166")
    planned = plan(max(len(taxonomy.cities), round(N_CLIPS * scale)), len(taxonomy.cities), rng)
    ids = planned.clip_ids
    n = len(ids)
    manifests = out / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    (out / "splits").mkdir(exist_ok=True)
    frames, faces = Writer(manifests, "frames"), Writer(manifests, "faces")
    blurred_of_clip = np.zeros(n, dtype=np.int64)
    intros = frame_hashes(50, rng)[:, 50]  # many videos begin with the same picture
    kept: npt.NDArray[np.uint64] | None = None
    n_faces = 0
    step = max(1, GROUP_ROWS // FACES_PER_CLIP)
    for start in range(0, n, step):
        some = slice(start, min(start + step, n))
        hashes = frame_hashes(some.stop - start, rng)
        hashes[planned.index[some] == 0, 0] = intros[
            planned.channel[planned.video[some]][planned.index[some] == 0] % 50
        ]
        if kept is not None and rng.random() < 0.3:  # a copy of a clip of the batch before, recompressed
            hashes[len(hashes) // 2] = kept ^ (np.uint64(1) << rng.integers(0, 64, SAMPLES, dtype=np.uint64))
        kept = hashes[0].copy()
        rows, per_frame = face_rows(ids[some], rng)
        faces.write(rows)
        n_faces += len(rows["score"])
        blurred_of_clip[some] = per_frame.sum(axis=1)
        frames.write(frame_rows(ids[some], planned.index[some] * 900, hashes, per_frame, rng))
    frames.close()
    faces.close()
    write_clips(manifests, planned, taxonomy, blurred_of_clip, rng)
    write_videos(manifests, planned, rng)
    part = of_few((rng.random(n) < 0.2).astype(np.int32), ["train", "test"])
    split = pa.table({"clip_id": pa.array(ids), "part": part})
    pq.write_table(split.replace_schema_metadata({"rule": "clip", "seed": str(seed)}), out / "splits" / "clip.parquet")
    rows_by_table = {"videos": len(planned.video_ids), "clips": n, "frames": n * SAMPLES, "faces": n_faces}
    described = {
        "name": out.name,
        "version": "0",
        "schema_version": SCHEMA_VERSION,
        "config": {"anonymise": {"conf": CONF, "blur": {"mode": "paper", "kernel_px": 63, "sigma_px": 21.0}}},
        "counts": rows_by_table,
    }
    (out / "dataset.json").write_text(json.dumps(described, indent=2) + "\n")
    return rows_by_table


def write_clips(manifests: Path, planned: Plan, taxonomy: Taxonomy, n_blurred: Ints, rng: np.random.Generator) -> None:
    """The clips manifest."""
    n = len(planned.video)
    ids = planned.clip_ids
    soft = rng.dirichlet(np.full(16, 0.2), n).astype(np.float32)
    start = planned.index * 900
    places = [taxonomy.cities[city] for city in planned.city]
    writer = Writer(manifests, "clips")
    writer.write(
        {
            "clip_id": pa.array(ids),
            "video_id": of_few(planned.video, list(planned.video_ids)),
            "clip_index": pa.array(planned.index),
            "start_frame": pa.array(start),
            "end_frame": pa.array(start + 900),
            "n_frames": pa.array(np.full(n, 900)),
            "fps": pa.array(np.full(n, 30.0)),
            "start_s": pa.array(start / 30.0),
            "end_s": pa.array(start / 30.0 + 30.0),
            "width": pa.array(np.full(n, WIDTH_PX)),
            "height": pa.array(np.full(n, HEIGHT_PX)),
            **{k: of_few(planned.video, [getattr(p, k) for p in places]) for k in LEVELS},
            **{
                f"{k}_label": pa.array(np.array([getattr(p, f"{k}_label") for p in places])[planned.video])
                for k in LEVELS
            },
            "n_sampled": pa.array(np.full(n, SAMPLES)),
            "scene_soft": pa.FixedSizeListArray.from_arrays(pa.array(soft.ravel()), 16),
            "scene_majority": pa.array(soft.argmax(axis=1)),
            "n_faces": pa.array(n_blurred),
            "blur": of_few(np.zeros(n, dtype=np.int32), ["paper"]),
            "frames_uri": pa.array([f"clips/{i[:-6]}/{i}" for i in ids]),
            "fingerprint": of_few(planned.video, [f"{v:016x}" for v in range(len(planned.video_ids))]),
        }
    )
    writer.close()


def write_videos(manifests: Path, planned: Plan, rng: np.random.Generator) -> None:
    """The videos manifest, with 3 % more that failed, and the attempts manifest."""
    done = len(planned.video_ids)
    lost = done // 33
    ids = [*planned.video_ids, *(f"youtube_zz{i:09d}" for i in range(lost))]  # zz: sorted behind most others
    n_clips = np.concatenate([np.bincount(planned.video, minlength=done), np.zeros(lost, dtype=np.int64)])
    unknown = np.arange(len(ids)) >= done
    channel = [None if c < 0 else f"Channel {c}" for c in (*planned.channel.tolist(), *[-1] * lost)]
    frames = n_clips * 900 + rng.integers(0, 900, len(ids))
    rows = {
        "video_id": ids,
        "url": [f"https://www.youtube.com/watch?v={i[-11:]}" for i in ids],
        "title": [f"Walking tour {i} in 4K" for i in range(len(ids))],
        "channel": channel,
        "sha256": [rng.bytes(32).hex() for _ in ids],
        "duration_s": pa.array(frames / 30.0, mask=unknown),
        "fps": pa.array(np.full(len(ids), 30.0), mask=unknown),
        "width": pa.array(np.full(len(ids), WIDTH_PX), mask=unknown),
        "height": pa.array(np.full(len(ids), HEIGHT_PX), mask=unknown),
        "n_frames": pa.array(frames, mask=unknown),
        "n_clips": n_clips,
        "status": of_few(unknown.astype(np.int32) * (1 + np.arange(len(ids)) % 3), ["done", *LOST]),
        "reason": [None] * done + ["removed: made up"] * lost,
    }
    writer = Writer(manifests, "videos")
    order = pa.array(np.argsort(np.array(ids)))
    writer.write({name: pa.array(column).take(order) for name, column in rows.items()})
    writer.close()
    writer = Writer(manifests, "attempts")
    stages = ("download", "clip", "anonymise", "label", "write")
    writer.write(
        {
            "video_id": pa.array([i for i in planned.video_ids for _ in stages]),
            "stage": pa.array(stages * done),
            "attempt": pa.array(np.ones(done * len(stages), dtype=np.int32)),
            "status": pa.array(["done"] * (done * len(stages))),
            "started_at": pa.array(np.arange(done * len(stages)) * 10**6),
            "seconds": pa.array(rng.random(done * len(stages)) * 60),
        }
    )
    writer.close()


def main() -> None:
    """Make them where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="an empty or new folder")
    parser.add_argument("--scale", type=float, default=1.0, help="0.01: a hundredth of the clips")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = make(args.out, args.scale, args.seed)
    sys.stdout.write(", ".join(f"{n:,} {table}" for table, n in rows.items()) + "\n")


if __name__ == "__main__":
    main()
