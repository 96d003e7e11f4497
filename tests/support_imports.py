"""Small trees of other people's data sets in their exact layout, with real JPEGs of a few pixels."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

TRAIN, TEST = "train", "test"


def jpeg(number: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG of (width, height) px, grey by its number."""
    picture = np.full((size[1], size[0], 3), number * 7 % 256, np.uint8)
    picture[:8, :8] = (255, 0, 0)
    return bytes(cv2.imencode(".jpg", picture)[1])


def write_clip(folder: Path, frames: int | Iterable[int] = 12, size: tuple[int, int] = (64, 48)) -> Path:
    """`1.jpg`, `2.jpg`, ..., not zero-padded, as CityGuessr68k has them; or the numbers given."""
    folder.mkdir(parents=True)
    for n in range(1, frames + 1) if isinstance(frames, int) else frames:
        (folder / f"{n}.jpg").write_bytes(jpeg(n, size))
    return folder


def write_cityguessr(source: Path, clips: Mapping[str, Sequence[str]], frames: int = 12) -> Path:
    """<split>/<City>/<clip id>/<n>.jpg of clip ids by split; the city is what stands before the first digit."""
    for split, ids in clips.items():
        for clip_id in ids:
            city = clip_id.rstrip("0123456789_")
            write_clip(source / split / city / clip_id, frames)
    return source


def small_cityguessr(source: Path) -> Path:
    """Two cities of two sources each, one of which lies on both sides of the split."""
    clips = {
        TRAIN: [f"Abu_Dhabi_6_{i:05d}" for i in range(3)] + ["Abu_Dhabi_7_00000"] + ["Tokyo_1_00000", "Tokyo_1_00001"],
        TEST: ["Abu_Dhabi_6_00084", "Tokyo_2_00000", "Tokyo_2_00001"],
    }
    return write_cityguessr(source, clips)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV as pandas writes it: the first column is the row's number and has no name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("", *columns))
        writer.writerows((i, *row) for i, row in enumerate(rows))


def write_msls_side(source: Path, group: str, city: str, side: str, sequences: Mapping[str, Sequence[int]]) -> None:
    """One side of one city: sequence -> frame numbers. Rows come in no order; the key of an image hides its number."""
    at = source / group / city / side
    (at / "images").mkdir(parents=True, exist_ok=True)
    rows = [(image_key(side, sequence, n), sequence, n) for sequence, numbers in sequences.items() for n in numbers]
    rows.sort()
    for key, _, n in rows:
        (at / "images" / f"{key}.jpg").write_bytes(jpeg(n))
    write_table(at / "seq_info.csv", ("key", "sequence_key", "frame_number"), rows)
    write_table(at / "subtask_index.csv", ("all", "s2w"), [(True, False)] * len(rows))
    if group == "train_val":
        raw = [(key, 12.5 + n / 1000, 55.5, 90.0, f"2017-06-{n % 28 + 1:02d}", False) for key, _, n in rows]
        write_table(at / "raw.csv", ("key", "lon", "lat", "ca", "captured_at", "pano"), raw)
        places = [(key, 0.0, 0.0, False, False, "Forward", 1) for key, _, _ in rows]
        columns = ("key", "easting", "northing", "night", "control_panel", "view_direction", "unique_cluster")
        write_table(at / "postprocessed.csv", columns, places)


def image_key(side: str, sequence: str, number: int) -> str:
    """22 letters, as the data set has them; their order is not that of the numbers."""
    digest = hashlib.sha256(f"{side} {sequence} {number}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:22].decode()


def small_msls(source: Path) -> Path:
    """Three of the paper's cities and one that is not; sequences of 14, 15 and more images on both sides."""
    write_msls_side(source, "train_val", "cph", "database", {"Ab-1": range(20), "short": range(14), "two": range(15)})
    write_msls_side(source, "train_val", "cph", "query", {"q_1": range(3, 40, 2), "two": range(100, 116)})
    write_msls_side(source, "train_val", "zurich", "database", {"z1": range(16)})
    write_msls_side(source, "train_val", "zurich", "query", {"z2": range(2)})
    write_msls_side(source, "test", "buenosaires", "database", {f"b{i}": range(15) for i in range(4)})
    write_msls_side(source, "test", "buenosaires", "query", {"bq": range(15)})
    write_msls_side(source, "test", "bengaluru", "database", {f"g{i}": range(17) for i in range(5)})
    write_msls_side(source, "test", "bengaluru", "query", {"gq": range(15)})
    return source


def table(out: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a manifest."""
    rows: list[dict[str, Any]] = pq.read_table(out / "manifests" / f"{name}.parquet").to_pylist()
    return rows


def parts_of(out: Path, name: str) -> dict[str, str]:
    """clip_id -> part of a split."""
    rows = pq.read_table(out / "splits" / f"{name}.parquet").to_pydict()
    return dict(zip(rows["clip_id"], rows["part"], strict=True))
