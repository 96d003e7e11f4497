"""`cgtool bench speed build`: what it prints, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support_build import cgtool
from tests.support_inline import cgtool_inline

OPTIONS = ["--detector", "mobilenet0.25", "--scene-model", "off", "--clip-frames", "20", "--samples", "5"]
LITTLE = ("--rounds", "1", "--clips", "1", "--workers", "1")


def test_it_prints_stages_build_and_limit(face_film: Path, detector_weights: Path) -> None:
    done = cgtool("bench", "speed", "build", face_film, *OPTIONS, *LITTLE, fresh=True)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert all(word in done.stdout for word in ("at least", "decode", "detect", "encode", "build", "limit", "faces"))
    assert "note: bare stages, and builds of" in done.stderr


def test_its_json_adds_up(face_film: Path, detector_weights: Path) -> None:
    done = cgtool_inline("bench", "speed", "build", face_film, *OPTIONS, *LITTLE, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    cpu_s = sum(stage["cpu_s"] for stage in found["stages"])
    assert found["limit_wall_s"] == pytest.approx(cpu_s / found["cores"])
    assert found["limit_over_actual"] == pytest.approx(found["limit_wall_s"] / found["clip_wall_s"])
    assert found["clip"] == {"frames": 20, "sampled": 5}
    assert all(one["lost"] == one["new"] == 0 for one in found["detectors"])


def test_bad_input_is_one_line(face_film: Path, detector_weights: Path) -> None:
    done = cgtool_inline("bench", "speed", "build", face_film, "--detector", "mobilenet0.25", "--scene-model", "off")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: face.mp4 has 60 frames, a clip 800. Give a longer video\n"
