"""Makes up the parts of a large data set by the thousand, without a single picture: what a build of N clips leaves in
OUT/parts, OUT/dataset.json and OUT/.cgtool/plan.json, and the sources table that asked for it.

Real schemas, row groups of the size that a build writes, digests that do not compress, hashes that drift from frame to
frame, the fingerprints that a build of this very table would give: so every command takes it for its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cgtool.options import build_config
from cityguessr_data.build_config import find_models
from cityguessr_data.build_record import describe, recorded_config, task_fingerprint
from cityguessr_data.core.schemas import ATTEMPTS, FINGERPRINT_KEY, TABLES
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS
from cityguessr_data.media.download import Downloader
from cityguessr_data.pipeline import STAGE_VERSIONS, read_table
from cityguessr_data.planning import plan_tasks
from cityguessr_data.run.executor import WorkItem
from cityguessr_data.run.store import Store

from .big_rows import HEIGHT_PX, SAMPLES, WIDTH_PX, Ints, face_rows, frame_hashes, frame_rows, of_few

CLIPS_A_VIDEO = 34
"""On average: 68,269 clips of about 2,000 source videos."""
SPREAD = 0.9
"""Of the logarithms of the clips of a video: the 95th percentile is 4.4 times the median, as in the published list."""
_BATCH_CLIPS = 2_000
_GROUP_ROWS = 5_000
_STAGES = ("download", "clip", "anonymise", "label", "write")
OPTIONS = {"detector": "mobilenet0.25", "scene_model": "off"}
_LETTERS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


@dataclass(frozen=True)
class BigParts:
    """A data set of made-up tables.

    Args:
        faces_a_clip: detections of score 0.05 and over, on average.
    """

    folder: Path
    n_clips: int
    faces_a_clip: float
    seed: int = 0
    items: list[WorkItem] = field(default_factory=list)

    @property
    def sources(self) -> Path:
        """The sources table."""
        return self.folder / "sources.csv"

    @property
    def out(self) -> Path:
        """The output directory."""
        return self.folder / "out"

    def make(self) -> None:
        """Write everything; the same arguments give the same rows."""
        rng = np.random.default_rng(self.seed)
        sizes = clips_by_video(self.n_clips, rng)
        self.ask_for(video_ids(len(sizes), rng))
        store = Store(self.out)
        for table in TABLES:
            (self.out / "parts" / table).mkdir(parents=True)
        config = build_config(self.sources, self.out, OPTIONS, None)
        recorded = recorded_config(config, find_models(config), STAGE_VERSIONS)
        with store.locked():
            store.write_dataset(describe(self.out.name, recorded, "folder", None))
            plan = plan_tasks(
                store,
                read_table(config),
                Downloader(config.download),
                partial(task_fingerprint, recorded),
                retry_failed=False,
            )
        self.items.extend(sorted(plan.items, key=lambda item: item.task.video_id))
        hashes = np.unpackbits(frame_hashes(_BATCH_CLIPS, rng).ravel().byteswap().view(np.uint8)).reshape(-1, 64)
        start = 0
        for batch in batches(sizes):
            self._write(store, self.items[start : start + len(batch)], batch, hashes, rng)
            start += len(batch)

    def ask_for(self, ids: list[str], more: Path | None = None) -> None:
        """Write a table of these videos of YouTube, and one more of a local file."""
        cities = [place.city for place in Taxonomy.named("cityguessr166").cities]
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.sources.open("w", newline="", encoding="utf-8") as f:
            rows = csv.writer(f)
            rows.writerow(("url", "city"))
            rows.writerows((f"https://www.youtube.com/watch?v={i[8:]}", cities[n % 166]) for n, i in enumerate(ids))
            if more is not None:
                rows.writerow((more, cities[0]))

    def _write(
        self,
        store: Store,
        items: list[WorkItem],
        sizes: Ints,
        hash_bits: npt.NDArray[np.uint8],
        rng: np.random.Generator,
    ) -> None:
        """The parts of some videos."""
        n = int(sizes.sum())
        video = np.repeat(np.arange(len(items)), sizes)
        index = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        clip_ids = [f"{items[v].task.video_id}_{i:05d}" for v, i in zip(video, index, strict=True)]
        # The same hashes with their bits in another order: as far from each other as before, and from those of before
        bits = hash_bits[: n * SAMPLES, rng.permutation(64)]
        hashes = np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u8").astype(np.uint64).reshape(n, SAMPLES)
        found, per_frame = face_rows(clip_ids, rng, self.faces_a_clip)
        faces = as_table("faces", found)
        counted = faces["clip_id"].combine_chunks().value_counts()
        n_of = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
        face_ends = np.cumsum([n_of.get(clip_id, 0) for clip_id in clip_ids])
        frames = as_table("frames", frame_rows(clip_ids, index * 900, hashes, per_frame, rng))
        clips = as_table("clips", clip_rows(items, video, index, clip_ids, per_frame.sum(axis=1), rng))
        start = 0
        for item, end in zip(items, np.cumsum(sizes).tolist(), strict=True):
            mark = {FINGERPRINT_KEY: item.fingerprint.encode()}
            first = int(face_ends[start - 1]) if start else 0
            ours = faces.slice(first, int(face_ends[end - 1]) - first)
            groups = {"frames": _GROUP_ROWS, "faces": _GROUP_ROWS}
            parts = {
                "frames": frames.slice(start * SAMPLES, (end - start) * SAMPLES),
                "faces": ours,
                "videos": as_table("videos", video_row(item, end - start, rng)),
                "attempts": as_table("attempts", attempt_rows(item.task.video_id)),
                "clips": clips.slice(start, end - start),
            }
            for name, table in parts.items():
                marked = table.replace_schema_metadata({**TABLES[name].metadata, **mark})
                path = store.part(name, item.task.video_id)
                pq.write_table(marked, path, compression="zstd", row_group_size=groups.get(name))
            start = end


def clips_by_video(n_clips: int, rng: np.random.Generator) -> Ints:
    """How many clips each video has, at least 1, `n_clips` in all."""
    weight = rng.lognormal(0, SPREAD, max(1, round(n_clips / CLIPS_A_VIDEO)))
    sizes = np.maximum(1, np.floor(weight / weight.sum() * n_clips)).astype(np.int64)
    sizes[np.argmax(sizes)] -= max(0, sizes.sum() - n_clips)
    sizes[: n_clips - sizes.sum()] += 1
    return np.asarray(sizes)


def video_ids(n: int, rng: np.random.Generator) -> list[str]:
    """Ids as YouTube's, ascending."""
    return sorted("youtube_" + tail.tobytes().decode() for tail in rng.choice(_LETTERS, (n, 11)))


def batches(sizes: Ints) -> Iterator[Ints]:
    """Videos together that have about `_BATCH_CLIPS` clips, and no more."""
    start = held = 0
    for i, size in enumerate(sizes.tolist()):
        if held + size > _BATCH_CLIPS and i > start:
            yield sizes[start:i]
            start, held = i, 0
        held += size
    yield sizes[start:]


def as_table(name: str, columns: dict[str, pa.Array]) -> pa.Table:
    """In the types of contract 4; columns that are not given are null."""
    schema, n = TABLES[name], len(next(iter(columns.values())))
    arrays = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def clip_rows(
    items: list[WorkItem], video: Ints, index: Ints, clip_ids: list[str], n_blurred: Ints, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Rows of the clips table."""
    n, start = len(video), index * 900
    places = [item.task.rows[0].place for item in items]
    soft = rng.dirichlet(np.full(16, 0.2), n).astype(np.float32)
    return {
        "clip_id": pa.array(clip_ids),
        "video_id": of_few(video, [item.task.video_id for item in items]),
        "clip_index": pa.array(index),
        "start_frame": pa.array(start),
        "end_frame": pa.array(start + 900),
        "n_frames": pa.array(np.full(n, 900)),
        "fps": pa.array(np.full(n, 30.0)),
        "start_s": pa.array(start / 30.0),
        "end_s": pa.array(start / 30.0 + 30.0),
        "width": pa.array(np.full(n, WIDTH_PX)),
        "height": pa.array(np.full(n, HEIGHT_PX)),
        **{k: of_few(video, [getattr(p, k) for p in places]) for k in LEVELS},
        **{f"{k}_label": pa.array(np.array([getattr(p, f"{k}_label") for p in places])[video]) for k in LEVELS},
        "n_sampled": pa.array(np.full(n, SAMPLES)),
        "scene_soft": pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * 16, pa.array(soft.ravel())),
        "scene_majority": pa.array(soft.argmax(axis=1)),
        "n_faces": pa.array(n_blurred),
        "blur": of_few(np.zeros(n, dtype=np.int32), ["paper"]),
        "frames_uri": pa.array([f"clips/{i[:-6]}/{i}" for i in clip_ids]),
        "fingerprint": of_few(video, [item.fingerprint for item in items]),
    }


def video_row(item: WorkItem, n_clips: int, rng: np.random.Generator) -> dict[str, pa.Array]:
    """The row of the videos table."""
    n_frames = n_clips * 900 + int(rng.integers(0, 900))
    return {
        "video_id": pa.array([item.task.video_id]),
        "url": pa.array([item.task.url]),
        "title": pa.array([f"Walking tour {rng.integers(10**6)} in 4K"]),
        "channel": pa.array([f"Channel {rng.integers(1000)}"]),
        "sha256": pa.array([rng.bytes(32).hex()]),
        "duration_s": pa.array([n_frames / 30.0]),
        "fps": pa.array([30.0]),
        "width": pa.array([WIDTH_PX]),
        "height": pa.array([HEIGHT_PX]),
        "n_frames": pa.array([n_frames]),
        "n_clips": pa.array([n_clips]),
        "status": pa.array(["done"]),
    }


def attempt_rows(video_id: str) -> dict[str, pa.Array]:
    """Rows of the attempts table: one attempt that went well."""
    n = len(_STAGES)
    return {
        "video_id": pa.array([video_id] * n),
        "stage": pa.array(_STAGES),
        "attempt": pa.array([1] * n),
        "status": pa.array(["done"] * n),
        "started_at": pa.array([10**15] * n, ATTEMPTS.field("started_at").type),
        "seconds": pa.array([1.5] * n),
    }
