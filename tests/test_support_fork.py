"""A command that the tests fork does as one in a fresh interpreter does: else no test that runs it says anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support_build import SHORT, cgtool, result_of, tree_digest, write_sources
from tests.support_fork import can_fork
from tests.support_video import numbered_video


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args", [("--version",), ("stats", "c.csv", "--json"), ("stats", "none.csv"), ("no-such",)])
def test_the_same_output_and_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]) -> None:
    (tmp_path / "c.csv").write_text("city,count\nTokyo,3\nLyon,1\n")
    inside = tuple(str(tmp_path / word) if word.endswith(".csv") else word for word in args)
    forked, fresh = told(cgtool(*inside)), told(cgtool(*inside, fresh=True))
    assert forked == fresh and any(forked[1:])
    monkeypatch.chdir(tmp_path)  # where the command is run, and only for that run
    assert told(cgtool(*args))[0] == fresh[0]
    assert "c.csv" not in args or told(cgtool(*args)) == fresh


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every command is a fresh one")
def test_no_import_of_a_test_keeps_commands_from_being_forked() -> None:
    import cv2  # noqa: F401 - it changes LD_LIBRARY_PATH

    assert can_fork(os.environ) and not can_fork(os.environ | {"PYTHONIOENCODING": "ascii"})


def test_environment_of_the_call(tmp_path: Path) -> None:
    listed = [cgtool("weights", "list", "--json", env={"CGTOOL_WEIGHTS": str(tmp_path / n)}, fresh=f)
              for n, f in (("a", False), ("b", False), ("a", True))]  # fmt: skip
    assert told(listed[0]) == told(listed[2])
    lines = "".join(f"City {i},{i + 1}\n" for i in range(5))
    (tmp_path / "c.csv").write_text("city,count\n" + lines)
    widths = [max(map(len, cgtool("stats", tmp_path / "c.csv", env={"COLUMNS": str(n)}).stdout.splitlines()))
              for n in (50, 80)]  # fmt: skip
    assert widths[0] <= 50 < widths[1] <= 80


def test_a_command_that_takes_too_long_is_killed_and_the_next_one_runs() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        cgtool("doctor", timeout_s=0.001)
    assert cgtool("--version").returncode == 0


def test_a_build_by_a_forked_worker_is_that_of_a_spawned_one(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 45)
    (tmp_path / "b.mp4").write_bytes(b"no film")
    table = write_sources(tmp_path / "sources.csv", [{"url": f"{n}.mp4", "city": "Tokyo"} for n in "ab"])
    results = []
    for fresh in (False, True):
        out = tmp_path / f"fresh {fresh}"
        done = cgtool("build-dataset", table, "--out", out, *SHORT, "--json", fresh=fresh)
        run = {k: v for k, v in result_of(done)["run"].items() if not k.endswith("_s") and "per_s" not in k}
        results.append((done.returncode, run.get("failed"), run.get("clips"), tree_digest(out)))
    assert results[0] == results[1] and len(results[0][3]) == 10
