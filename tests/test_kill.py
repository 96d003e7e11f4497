"""kill -9 at random moments: nothing committed is lost, nothing is half there, and the end is as if undisturbed.

Two kills here; `make torture` sets CGTOOL_KILLS to twenty.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from cityguessr_data.media.decode import decode, index_video
from tests.support_build import CGTOOL, SHORT, cgtool, hear_ctrl_c, tree_digest, write_sources

KILLS = int(os.environ.get("CGTOOL_KILLS", "2"))


def clips_part(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=["clip_id", "start_frame", "n_faces"]).to_pylist()
    return rows


def committed(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Clips of every video whose clips part is there, each checked to have all its frames with their digests."""
    found = {}
    digests = tree_digest(out)
    for part in sorted((out / "parts" / "clips").glob("*.parquet")):
        rows = clips_part(part)
        frames = pq.read_table(out / "parts" / "frames" / part.name).to_pylist()
        assert len(frames) == 5 * len(rows)
        for frame in frames:
            assert digests[frame["path"]] == frame["sha256"]
        found[part.stem] = rows
    return found


def visible_faces(out: Path, source: Path) -> list[str]:
    """Pictures anywhere under OUT, hidden folders too, in which the film's face region is as sharp as in the source."""
    wanted = range(60)
    originals = {f.index: f.rgb for f in decode(source, set(wanted), 60, index_video(source))}
    sharp = []
    for path in out.rglob("*"):
        if not path.is_file() or path.stat().st_size == 0 or path.suffix in (".parquet", ".json", ".html"):
            continue
        content = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR)
        if picture is None or picture.shape[:2] != (240, 320):
            continue
        rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(float)
        for i, original in originals.items():
            x = 20 + 3 * i + 30
            if np.abs(rgb[80:150, x : x + 40] - original[80:150, x : x + 40]).mean() < 4:
                sharp.append(f"{path} shows frame {i}")
    return sharp


def pictures_under(out: Path) -> int:
    """JPEGs anywhere under OUT while another process moves folders about; os.walk passes over what vanishes."""
    return sum(name.endswith(".jpg") for _, _, names in os.walk(out) for name in names)


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`; none where the system does not tell."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.timeout(1800)
def test_a_chain_of_kills_ends_like_an_undisturbed_build(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    names = [f"film{i}" for i in range(6)]
    for name in names:
        shutil.copy(face_film, tmp_path / f"{name}.mp4")
    table = write_sources(
        tmp_path / "sources.csv", [{"url": f"{n}.mp4", "city": "Tokyo", "video_id": n} for n in names]
    )
    calm, out = tmp_path / "calm", tmp_path / "out"
    done = cgtool("build-dataset", table, "--out", calm, *SHORT)
    assert done.returncode == 0, done.stderr
    assert not visible_faces(calm, face_film)
    frame = next(iter(decode(face_film, {30}, 31, index_video(face_film))))
    (tmp_path / "eye").mkdir()
    cv2.imwrite(str(tmp_path / "eye" / "x.jpg"), cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR))
    assert visible_faces(tmp_path / "eye", face_film), "the test's own eye must see a face that is not blurred"

    rng = random.Random(int(os.environ.get("CGTOOL_KILL_SEED", "7")))
    before: dict[str, list[dict[str, Any]]] = {}
    landed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*CGTOOL, "build-dataset", str(table), "--out", str(out), *SHORT],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        # A random amount of work, then a random moment of what follows it (a frame, a commit, the manifests)
        enough = rng.randint(sum(len(rows) for rows in before.values()) * 5, 90)
        while process.poll() is None and pictures_under(out) < enough:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        workers = children(process.pid)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers must notice
            landed += 1
        process.wait()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "a worker outlives its parent"
            time.sleep(0.05)
        now = committed(out) if out.exists() else {}
        assert {v: now.get(v) for v in before} == before, "a committed video is lost"
        before = now
        assert not visible_faces(out, face_film)
    assert landed >= 1
    done = cgtool("build-dataset", table, "--out", out, *SHORT)
    assert done.returncode == 0, done.stderr
    assert tree_digest(out) == tree_digest(calm)
    assert committed(out).keys() == set(names)
    columns = ["clip_id", "start_frame", "end_frame", "n_faces", "fingerprint"]
    tables = [pq.read_table(d / "manifests" / "clips.parquet", columns=columns) for d in (calm, out)]
    assert tables[0].equals(tables[1])
    assert not list((out / ".cgtool").glob("staging/*"))


def test_ctrl_c_stops_cleanly_and_says_that_it_resumes(tmp_path: Path, face_film: Path, detector_weights: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(face_film, tmp_path / f"{name}.mp4")
    table = write_sources(tmp_path / "sources.csv", [{"url": f"{n}.mp4", "city": "Tokyo"} for n in "ab"])
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*CGTOOL, "build-dataset", str(table), "--out", str(out), *SHORT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    staging = out / ".cgtool" / "staging"
    deadline = time.monotonic() + 60
    while not any(staging.rglob("*.jpg")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "the same command goes on" in stderr
    assert "Traceback" not in stderr
    assert not list(staging.glob("*"))
    done = cgtool("build-dataset", table, "--out", out, *SHORT)
    assert done.returncode == 0
    assert committed(out).keys() == {"local_a", "local_b"}
