"""kill -9 at random moments while a review is applied: no video is half there, and the end is as if undisturbed.

Two kills here; `make torture` sets CGTOOL_KILLS to twenty.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.run.store import Store
from tests.support_build import CGTOOL, SHORT, tree_digest, write_sources
from tests.support_inline import cgtool_inline

KILLS = int(os.environ.get("CGTOOL_KILLS", "2"))
VIDEOS = [f"film{i}" for i in range(8)]


def draw_faces(out: Path, video: str) -> None:
    """A face drawn in four frames of every clip of a video, as far as it has them; for `review --apply`."""
    rows = pq.read_table(out / "parts" / "clips" / f"{video}.parquet").to_pylist()
    log = DecisionLog(Store(out))
    log.append(
        video,
        [
            _decision("draw", row, position=p, box=(200.0, 30.0, 248.0, 90.0))
            for row in rows
            for p in range(min(4, row["n_sampled"]))
        ],
    )


def _decision(action: str, row: dict[str, str], **more: object) -> Decision:
    now = datetime.now(UTC)
    return Decision(action, row["clip_id"], row["fingerprint"], "r", "s", now, new_id(), **more)  # type: ignore[arg-type]


def decide(out: Path) -> None:
    """In each video: a face drawn in four frames of every clip, one box rejected, and in every other a clip dropped."""
    log = DecisionLog(Store(out))
    for number, video in enumerate(VIDEOS):
        draw_faces(out, video)
        made = []
        faces = pq.read_table(out / "parts" / "faces" / f"{video}.parquet").to_pylist()
        for row in pq.read_table(out / "parts" / "clips" / f"{video}.parquet").to_pylist():
            here = next(f for f in faces if f["clip_id"] == row["clip_id"] and f["blurred"] and f["position"] == 4)
            made.append(_decision("reject", row, position=4, box=(here["x0"], here["y0"], here["x1"], here["y1"])))
            if number % 2 and row["clip_index"] == 1:
                made.append(_decision("drop", row))
        log.append(video, made)


def whole(out: Path) -> dict[str, str]:
    """Every committed video has its frames with the digests of its parts. Returns its frames' digests."""
    digests = tree_digest(out)
    found = {}
    for part in sorted((out / "parts" / "clips").glob("*.parquet")):
        clips = pq.read_table(part)["clip_id"].to_pylist()
        frames = pq.read_table(out / "parts" / "frames" / part.name).to_pylist()
        assert len(frames) == 5 * len(clips)
        for frame in frames:
            assert hashlib.sha256((out / frame["path"]).read_bytes()).hexdigest() == frame["sha256"]
            assert digests[frame["path"]] == frame["sha256"]
            found[frame["path"]] = frame["sha256"]
    return found


@pytest.mark.timeout(1800)
def test_a_chain_of_kills_ends_like_an_undisturbed_run(tmp_path: Path, face_film: Path, detector_weights: Path) -> None:
    for name in VIDEOS:
        shutil.copy(face_film, tmp_path / f"{name}.mp4")
    rows = [{"url": f"{name}.mp4", "city": "Tokyo", "video_id": name} for name in VIDEOS]
    out, calm = tmp_path / "out", tmp_path / "calm"
    assert cgtool_inline("build-dataset", write_sources(tmp_path / "s.csv", rows), "--out", out, *SHORT).returncode == 0
    decide(out)
    shutil.copytree(out, calm)
    built = whole(out)
    done = cgtool_inline("review", calm, "--apply", "--json")
    assert done.returncode == 0, done.stderr
    wanted = whole(calm)

    rng = random.Random(int(os.environ.get("CGTOOL_KILL_SEED", "3")))
    landed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*CGTOOL, "review", str(out), "--apply", "--workers", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        first = time.monotonic() + 30
        while process.poll() is None and not any((out / ".cgtool").glob("s*/*")) and time.monotonic() < first:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 1.5))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            landed += 1
        process.wait()
        Store(out).recover()  # as any command that writes does first
        for path, digest in whole(out).items():
            assert digest in (wanted.get(path), built[path]), "as it was, or as it is to be"
    assert landed >= 1
    done = cgtool_inline("review", out, "--apply")
    assert done.returncode == 0, done.stderr
    assert whole(out) == wanted
    for name in ("clips", "frames", "faces"):
        tables = [pq.read_table(folder / "manifests" / f"{name}.parquet") for folder in (calm, out)]
        assert tables[0].equals(tables[1]), name
    assert not list((out / ".cgtool").glob("staging/*"))
    gone = {row["id"] for row in pq.read_table(out / "manifests" / "tombstones.parquet").to_pylist()}
    assert gone == {f"film{i}_00001" for i in (1, 3, 5, 7)}
    version = json.loads((out / "dataset.json").read_text())["version"]
    assert version in (out / "CHANGELOG.md").read_text()
