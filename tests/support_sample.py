"""A committed data set with faces of our choice, and a stand-in for its unblurred sources: for tests of a sample."""

from __future__ import annotations

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
from cityguessr_data.review.decisions import Box, Decision, DecisionLog, new_id
from cityguessr_data.review.sample import SampledFrame
from cityguessr_data.run.store import Store

WIDTH, HEIGHT = 320, 180
FaceOf = tuple[int, Box, float]
"""position, box, score; blurred from 0.5."""


class FakeSources:
    """In place of `Unblurred`: frames of one colour each, and clips whose source is gone."""

    def __init__(self, gone: Mapping[str, str] | None = None) -> None:
        self.gone = dict(gone or {})
        self.asked: list[str] = []

    def why_none(self, unit: str, clip_id: str) -> str | None:
        self.asked.append(clip_id)
        return self.gone.get(clip_id)

    def frame(self, unit: str, clip_id: str, position: int) -> np.ndarray:
        return np.full((HEIGHT, WIDTH, 3), (40 + position) % 256, np.uint8)


def write_out(
    out: Path,
    clips: Mapping[str, Mapping[str, int]],
    faces: Mapping[str, Sequence[FaceOf]] | None = None,
    *,
    blur: str | None = "paper",
    fingerprint: str = "f1",
    jpegs: bool = False,
    videos_known: bool = True,
    cities: Mapping[str, str] | None = None,
) -> Store:
    """An output directory: unit -> clip id -> frames saved of it. Faces by clip.

    Args:
        videos_known: False: as imported clips whose source is lost.
        cities: by unit; Tokyo elsewhere.
    """
    for unit, by_clip in clips.items():
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("videos", "clips", "frames", "faces")}
        rows["videos"] = [
            {"video_id": unit, "url": f"https://example.org/{unit}", "n_clips": len(by_clip), "status": "done"}
        ]
        for number, (clip_id, n) in enumerate(by_clip.items()):
            rows["clips"].append(
                {
                    "clip_id": clip_id, "video_id": unit if videos_known else None, "clip_index": number,
                    "width": WIDTH, "height": HEIGHT, "city": (cities or {}).get(unit, "Tokyo"), "state": "Tokyo",
                    "country": "Japan", "continent": "Asia", "n_sampled": n,
                    "frames_uri": f"clips/{unit}/{clip_id}", "fingerprint": fingerprint, "blur": blur,
                }
            )  # fmt: skip
            for p in range(n):
                path = out / "clips" / unit / clip_id / f"{p + 1:03d}.jpg"
                if jpegs:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
                rows["frames"].append(
                    {"clip_id": clip_id, "position": p, "path": str(path.relative_to(out)), "frame_index": p * 8}
                )
            for position, box, score in (faces or {}).get(clip_id, ()):
                corners = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
                rows["faces"].append(
                    {
                        "clip_id": clip_id, "position": position, "frame_index": position * 8, "kind": "face",
                        **corners, "score": score, "origin": "detected", "blurred": score >= 0.5, "review": "pending",
                    }
                )  # fmt: skip
        for name, table_rows in rows.items():
            schema = TABLES[name]
            schema = schema.with_metadata({**schema.metadata, FINGERPRINT_KEY: fingerprint.encode()})
            (out / "parts" / name).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(table_rows, schema), out / "parts" / name / f"{unit}.parquet")
    config = {"anonymise": {"conf": 0.5, "blur": {"mode": blur}, "detector": {"keep_score": 0.05}}}
    (out / "dataset.json").write_text(json.dumps({"id": f"id of {out.name}", "name": out.name, "config": config}))
    return Store(out)


def decide(
    log: DecisionLog,
    frame: SampledFrame,
    action: str,
    box: Box | None = None,
    *,
    reviewer: str = "keeper",
    undoes: str | None = None,
) -> str:
    """Append one decision about a sampled frame; returns its id."""
    decision_id = new_id()
    position = None if action == "undo" else frame.position
    log.append(
        frame.unit,
        [
            Decision(
                action,  # type: ignore[arg-type]
                frame.clip_id,
                frame.fingerprint,
                reviewer,
                "tab",
                datetime.now(UTC),
                decision_id,
                position,
                box,
                undoes=undoes,
            )
        ],
    )
    return decision_id
