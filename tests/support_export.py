"""A small reviewed data set made by hand, as manifests/SCHEMA.md says, and what an export of it must hold.

Five clips of three videos: two have links, one is a file of the machine that made the set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import FINGERPRINT_KEY, TABLES
from cityguessr_data.publish.export import ExportConfig, ExportResult, export
from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.review.faces import APPLIED_KEY, keep_as_built
from cityguessr_data.review.progress import clips_of, marks_of
from cityguessr_data.review.state import faces_after
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.store import Store

FRAMES = 4
FILMS = "/data/some films"
"""Where the local source lay."""
PLACES = {
    "walk": ("Tokyo", "Tokyo", "Japan", "Asia"),
    "drive": ("London", "Greater_London", "England", "Europe"),
    "home": ("Lyon", "Auvergne-Rhône-Alpes", "France", "Europe"),
}
VIDEOS: dict[str, dict[str, Any]] = {
    "walk": {"url": "https://a.example.com/walk.mp4", "license": "CC-BY-4.0", "channel": "Keeper", "title": "A | walk"},
    "drive": {"url": "https://www.b.example.com/drive.mp4", "license": None, "channel": None, "title": None},
    "home": {"url": f"{FILMS}/home.mp4", "license": "mine", "channel": None, "title": None},
}
CLIPS = ("drive_00000", "home_00000", "walk_00000", "walk_00001", "walk_00002")
"""By unit, as the tables have them."""


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.n_clips = 0

    def planned(self, n_clips: int, n_bytes: int) -> None:
        pass

    def packed(self, n_clips: int, n_bytes: int) -> None:
        self.n_clips += n_clips


def jpeg_of(clip: int, position: int) -> bytes:
    """A small picture that no other frame shares."""
    rng = np.random.default_rng(100 * clip + position)
    picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
    done, content = cv2.imencode(".jpg", picture)
    assert done
    return bytes(content)


def write_set(out: Path, *, extra: Mapping[str, Mapping[str, str]] | None = None, blur: str | None = "paper") -> Path:
    """Write OUT; the first frame of walk_00000 with a blurred face is the one at position 1.

    Args:
        extra: video id -> its passed-through columns.
    """
    number = 0
    for video_id, video in VIDEOS.items():
        further = dict((extra or {}).get(video_id, {}))
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("videos", "clips", "frames", "faces")}
        n_clips = 3 if video_id == "walk" else 1
        rows["videos"] = [
            {"video_id": video_id, "n_clips": n_clips, "status": "done", "sha256": "5" * 64, **video}
            | {"reason": f"bad-media: {FILMS}/{video_id}.mp4 breaks"}
            | further
        ]
        for index in range(n_clips):
            clip_id, folder = f"{video_id}_{index:05d}", f"clips/{video_id}/{video_id}_{index:05d}"
            place = dict(zip(("city", "state", "country", "continent"), PLACES[video_id], strict=True))
            rows["clips"].append(
                {
                    "clip_id": clip_id, "video_id": video_id, "clip_index": index, "width": 64, "height": 48, **place,
                    "start_frame": index * 800, "end_frame": index * 800 + 800, "n_frames": 800, "fps": 29.97,
                    "start_s": index * 800 / 29.97, "end_s": (index + 1) * 800 / 29.97, "n_sampled": FRAMES,
                    "city_label": 3, "n_faces": 2 if clip_id == "walk_00000" else 0, "blur": blur,
                    "scene_soft": [1.0, *[0.0] * 15] if video_id == "walk" else None,
                    "frames_uri": folder, "fingerprint": f"print of {video_id}",
                }
            )  # fmt: skip
            for position in range(FRAMES):
                path, content = f"{folder}/{position + 1:03d}.jpg", jpeg_of(number, position)
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                (out / path).write_bytes(content)
                rows["frames"].append(
                    {
                        "clip_id": clip_id, "position": position, "frame_index": index * 800 + position * 200,
                        "timestamp_s": (index * 800 + position * 200) / 29.97, "path": path,
                        "sha256": hashlib.sha256(content).hexdigest(), "phash": 1000 * number + position,
                    }
                )  # fmt: skip
            number += 1
        if video_id == "walk":
            rows["faces"] = [
                {
                    "clip_id": "walk_00000", "position": position, "kind": "face", "x0": 1.0, "y0": 2.0, "x1": 9.5,
                    "y1": 12.0, "score": score, "origin": "detected", "blurred": score > 0.5, "review": "pending",
                }
                for position, score in ((0, 0.25), (1, 0.75), (3, 1.0))
            ]  # fmt: skip
        for name, table_rows in rows.items():
            schema = TABLES[name]
            if name == "videos":
                added = [pa.field(column, pa.string()) for column in further if column not in schema.names]
                schema = pa.schema([*schema, *added], schema.metadata)
            schema = schema.with_metadata({**schema.metadata, FINGERPRINT_KEY: b"built"})
            path = out / "parts" / name / f"{video_id}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(table_rows, schema), path)
    note = {
        "name": "small streets",
        "version": "1.2.0",
        "config": {
            "clip": {"min_frames": 800, "max_frames": 900, "samples": FRAMES},
            "anonymise": {
                "detector": {"name": "mobilenet0.25", "size_px": 1280, "scale": 1.0, "nms_iou": 0.3},
                "blur": {"mode": "paper", "kernel_px": 63, "sigma_px": 21.0},
                "conf": 0.5,
            },
            "scenes": {"model": "off", "parents": "split"},
            "jpeg_quality": 95,
        },
        "models": {"detector": {"net_0.25.onnx": "ab" * 32}},
    }
    (out / "dataset.json").write_text(json.dumps(note))
    assemble(Store(out))
    return out


def decide(out: Path, clip_id: str, action: Any, **told: Any) -> None:
    """Put one decision of a reviewer into the table."""
    store, video_id = Store(out), clip_id.rpartition("_")[0]
    decision = Decision(
        action, clip_id, f"print of {video_id}", "Rita", "tab", datetime(2026, 1, 2, tzinfo=UTC), new_id(), **told
    )
    DecisionLog(store).append(video_id, [decision])


def apply(out: Path) -> None:
    """Say of every decision that it was carried out, and have the faces table say so too; frames stay as they are."""
    store = Store(out)
    log = DecisionLog(store)
    for unit in log.units():
        part = store.part("clips", unit)
        keep_as_built(store, unit)
        wanted = [
            face
            for clip in clips_of(store, unit, log.read(unit))
            for face in faces_after(clip.faces, clip.review, dict.fromkeys(range(FRAMES)))
        ]
        faces = store.part("faces", unit)
        pq.write_table(pa.Table.from_pylist(wanted, pq.read_schema(faces)), faces)
        table = pq.read_table(part)
        mark = json.dumps(marks_of({clip.clip_id: clip.review for clip in clips_of(store, unit, log.read(unit))}))
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, APPLIED_KEY: mark.encode()}), part)
    assemble(store)


def reviewed(out: Path, **options: Any) -> Path:
    """A data set whose review is finished and carried out."""
    write_set(out, **options)
    decide(out, "walk_00000", "accept", position=1)
    apply(out)
    return out


def mark_gone(out: Path, *video_ids: str) -> None:
    """As `refresh` marks videos that their sites do not show any more."""
    for video_id in video_ids:
        part = out / "parts" / "videos" / f"{video_id}.parquet"
        table = pq.read_table(part)
        at = table.column_names.index("reason")
        reason = pa.array(["gone since 2026-05-04: private: Private video"] * table.num_rows)
        pq.write_table(table.set_column(at, table.schema.field(at), reason), part)


def write_split(out: Path, name: str, parts: Mapping[str, str]) -> None:
    (out / "splits").mkdir(exist_ok=True)
    table = pa.table({"clip_id": list(parts), "part": list(parts.values())})
    metadata = {b"cgtool.split_rule": b"clip", b"cgtool.split_seed": b"3"}
    pq.write_table(table.replace_schema_metadata(metadata), out / "splits" / f"{name}.parquet")


def run_export(out: Path, to: str, dest: Path, **options: Any) -> ExportResult:
    """Export in this process."""
    return export(ExportConfig(out, dest, to, **options), Heard())


def frames_of(out: Path) -> dict[str, list[bytes]]:
    """Clip id -> its JPEGs by position, from the disk."""
    return {
        folder.name: [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
        for folder in sorted((out / "clips").glob("*/*"))
    }


def texts_of(folder: Path) -> str:
    """All bytes of an export that are not pictures, as text: also what stands in Parquet, uncompressed."""
    texts: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            kept = [name for name in table.column_names if name != "frames"]
            texts += [str(table.select(kept).to_pylist()), str(table.schema.metadata)]
        elif path.is_file():
            texts.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(texts)


def state_of(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file below, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path, columns=list(columns) if columns else None).to_pylist()
    return found
