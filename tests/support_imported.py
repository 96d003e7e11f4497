"""Makes an imported output directory by hand, as manifests/SCHEMA.md says, over small real JPEGs; and a scene model.

The model names a picture by its colour, so that a test knows the scene of every frame without asking the code under
test.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import FINGERPRINT_KEY, TABLES

FRAMES = 6
RED, GREEN, BLUE = 10, 200, 300
"""Categories that the colour model gives to red, green and blue pictures."""
FACE = (60, 170)
"""Rows of the pasted face; its columns are face_columns()."""


def face_columns(number: int) -> tuple[int, int]:
    """Columns of the face in the frame of that number."""
    return 20 + 20 * number, 120 + 20 * number


def face_frame(number: int) -> np.ndarray:
    """A real face (the astronaut of scikit-image) over a textured wall; uint8 RGB (240, 320, 3)."""
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(60, 200, (24, 32, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    x0, x1 = face_columns(number)
    frame[FACE[0] : FACE[1], x0:x1] = cv2.resize(astronaut()[0:220, 120:320], (100, 110), interpolation=cv2.INTER_AREA)
    return frame


def flat_frame(channel: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A picture of one colour: 0 red, 1 green, 2 blue."""
    frame = np.full((size[1], size[0], 3), 20, np.uint8)
    frame[..., channel] = 220
    return frame


def write_jpeg(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])


def face_source(source: Path, videos: Sequence[str], clips: int = 2) -> dict[str, dict[str, list[Path]]]:
    """<video>/<clip>/<n>.jpg, n from 1 and not zero-padded: video -> clip id -> its frames in order."""
    tree: dict[str, dict[str, list[Path]]] = {}
    for video in videos:
        for number in range(clips):
            clip_id = f"{video}_{number + 7:05d}"
            paths = [source / video / clip_id / f"{n + 1}.jpg" for n in range(FRAMES)]
            for n, path in enumerate(paths):
                write_jpeg(path, face_frame(n))
            tree.setdefault(video, {})[clip_id] = paths
    return tree


def write_imported(out: Path, tree: Mapping[str, Mapping[str, Sequence[Path]]], **dataset: Any) -> Path:
    """An output directory whose frames are those of `tree`, by absolute paths. Every tenth source frame was kept."""
    for video, clips in tree.items():
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("videos", "clips", "frames", "faces")}
        rows["videos"] = [{"video_id": video, "url": f"released:{video}", "n_clips": len(clips), "status": "done"}]
        for number, (clip_id, paths) in enumerate(clips.items()):
            place = {"city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia", "city_label": 3}
            rows["clips"].append(
                {
                    "clip_id": clip_id, "video_id": video, "clip_index": number + 7, "width": 1, "height": 1, **place,
                    "n_sampled": len(paths), "frames_uri": str(paths[0].parent), "fingerprint": "imported",
                }
            )  # fmt: skip
            rows["frames"] += [
                {
                    "clip_id": clip_id, "position": n, "path": str(path), "frame_index": number * 100 + n * 10,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None,
                }
                for n, path in enumerate(paths)
            ]  # fmt: skip
        for name, table_rows in rows.items():
            schema = TABLES[name]
            schema = schema.with_metadata({**schema.metadata, FINGERPRINT_KEY: b"imported"})
            folder = out / "parts" / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(table_rows, schema), folder / f"{video}.parquet")
    note = {"name": out.name, "imported": {"from": "cityguessr68k"}, **dataset}
    (out / "dataset.json").write_text(json.dumps(note))
    return out


def table(out: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a manifest."""
    rows: list[dict[str, Any]] = pq.read_table(out / "manifests" / f"{name}.parquet").to_pylist()
    return rows


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Path -> (mtime in ns, SHA-256) of every file below, hidden ones too, but for locks."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def again(tree: Mapping[str, Mapping[str, Sequence[Path]]], old: Path, new: Path) -> dict[str, dict[str, list[Path]]]:
    """A copy of the source folder, and its tree."""
    shutil.copytree(old, new)
    return {
        video: {clip: [new / path.relative_to(old) for path in paths] for clip, paths in clips.items()}
        for video, clips in tree.items()
    }


def write_colour_model(folder: Path) -> Path:
    """An ONNX scene model whose category is told by the strongest channel, with the JSON that describes its input."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from cityguessr_data.vision.scene_input import EXAMPLE

    weights = np.zeros((3, 365), np.float32)
    for channel, category in enumerate((RED, GREEN, BLUE)):
        weights[channel, category] = 40.0
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 365])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = folder / "colours.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    spec = EXAMPLE | {"file": path.name, "input": EXAMPLE["input"] | {"channels": "RGB"}}
    path.with_suffix(".json").write_text(json.dumps(spec), encoding="utf-8")
    return path


COLOURS = {"a_1": [[0, 0, 1, 2, 0]], "a_2": [[1, 1, 1, 1, 1], [2, 0, 0, 2, 2]], "b_1": [[2, 2, 2]]}
"""Video -> the colour of each frame of its clips."""


def colour_imported(tmp_path: Path) -> Path:
    """Four clips of flat colours; positions 0 to T-1 of frames 0, 10, 20, ..., from 100 in a second clip."""
    tree: dict[str, dict[str, list[Path]]] = {}
    for video, clips in COLOURS.items():
        for number, colours in enumerate(clips):
            clip_id = f"{video}_{number + 7:05d}"
            paths = [tmp_path / "src" / clip_id / f"{n + 1}.jpg" for n in range(len(colours))]
            for path, colour in zip(paths, colours, strict=True):
                write_jpeg(path, flat_frame(colour))
            tree.setdefault(video, {})[clip_id] = paths
    return write_imported(tmp_path / "out", tree)


def true_labels() -> dict[tuple[str, int], int]:
    return {
        (f"{video}_{number + 7:05d}", position): (RED, GREEN, BLUE)[colour]
        for video, clips in COLOURS.items()
        for number, colours in enumerate(clips)
        for position, colour in enumerate(colours)
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """CSV or Parquet, by the name."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def frame_rows(labels: dict[tuple[str, int], int]) -> list[dict[str, Any]]:
    return [{"clip_id": clip, "position": p, "scene_top1": label} for (clip, p), label in labels.items()]
