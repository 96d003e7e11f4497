"""Ten in a hundred steps of every stage fail, some with their worker: no row is lost, and retrying completes all.

A dozen videos here; `make torture` sets CGTOOL_RANDOM_VIDEOS to 200.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.media.decode import decode, index_video
from tests import support_workers
from tests.support_build import SHORT, cgtool, result_of, write_sources
from tests.support_kill import Eye, assert_same_data, committed, leftovers, orphans
from tests.support_random import STAGES, WAYS, Script
from tests.support_video import write_frames

VIDEOS = int(os.environ.get("CGTOOL_RANDOM_VIDEOS", "12"))
SHARE = 0.1
SAMPLES = 2


def attempts(out: Path) -> dict[str, list[tuple[int, str, str, str | None]]]:
    """The manifest of attempts, by video, in its order."""
    found: dict[str, list[tuple[int, str, str, str | None]]] = {}
    for row in pq.read_table(out / "manifests" / "attempts.parquet").to_pylist():
        told = (row["attempt"], row["stage"], row["status"], row["error_class"])
        found.setdefault(row["video_id"], []).append(told)
    return found


def test_the_script_fails_every_stage_in_every_way() -> None:
    script = Script(1, SHARE, "")
    seen = Counter(failed for n in range(2000) if (failed := script.failure(f"v{n}", 1)))
    assert seen.keys() == {(stage, way) for stage in STAGES for way in WAYS[stage]}
    assert 0.35 < sum(seen.values()) / 2000 < 0.47, "1 - 0.9 ** 5 = 0.41"


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not support_workers.TRIED, reason="the workers of this Python are not forked")
def test_every_failure_is_told_and_retrying_completes_all(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    frames = [f.rgb for f in decode(face_film, set(range(20)), 20, index_video(face_film))]
    write_frames(tmp_path / "film.mp4", frames)
    names = [f"film{i:03d}" for i in range(VIDEOS)]
    for name in names:
        shutil.copy(tmp_path / "film.mp4", tmp_path / f"{name}.mp4")
    table = write_sources(tmp_path / "s.csv", [{"url": f"{n}.mp4", "city": "Tokyo", "video_id": n} for n in names])
    out, calm, options = tmp_path / "out", tmp_path / "calm", (*SHORT, "--samples", SAMPLES, "--workers", "2", "--json")
    assert cgtool("build-dataset", table, "--out", calm, *options, timeout_s=900).returncode == 0

    (tmp_path / "counts").mkdir()
    script, eye = (
        Script(int(os.environ.get("CGTOOL_RANDOM_SEED", "11")), SHARE, str(tmp_path / "counts")),
        Eye(face_film, 20),
    )
    passes, code = 0, 1
    while code == 1:
        passes += 1
        retry = ("--retry-failed",) if passes > 1 else ()
        done = cgtool("build-dataset", table, "--out", out, *options, *retry, env=script.env(), timeout_s=900)
        code = done.returncode
        assert code in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
        finished = {name for name in names if script.is_done(name, passes)}
        assert attempts(out) == {name: script.expected(name, passes) for name in names}
        statuses = {
            row["video_id"]: row["status"] for row in pq.read_table(out / "manifests" / "videos.parquet").to_pylist()
        }
        assert statuses == {name: "done" if name in finished else "failed" for name in names}
        assert committed(out, SAMPLES).keys() == finished
        assert pq.read_table(out / "manifests" / "clips.parquet").num_rows == len(finished)
        assert not leftovers(out)
        assert not orphans(out)
        told = result_of(done)
        assert (code == 0) == (len(finished) == VIDEOS), told
        if passes == 1:  # without --retry-failed nothing is tried again
            assert 0.2 * VIDEOS < VIDEOS - len(finished) < 0.7 * VIDEOS
            again = cgtool("build-dataset", table, "--out", out, *options, env=script.env())
            assert again.returncode == 1
            assert attempts(out) == {name: script.expected(name, 1) for name in names}
    assert 1 < passes <= script.last_attempt
    assert not eye.sharp(out)
    assert_same_data(out, calm)
