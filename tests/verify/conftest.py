"""The data set that the tests of this folder damage copies of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_verify import HereExecutor, Whole, build_whole


@pytest.fixture(autouse=True)
def _no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairs compute in this process: a worker spends seconds on imports. Commands run as processes are as ever."""
    for module in ("cityguessr_data.pipeline", "cityguessr_data.over_frames.go"):
        monkeypatch.setattr(f"{module}.LocalExecutor", HereExecutor)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Whole:
    return build_whole(tmp_path_factory.mktemp("whole") / "set", face_film)


@pytest.fixture(scope="session")
def tarred(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Whole:
    return build_whole(tmp_path_factory.mktemp("tarred") / "set", face_film, "--layout", "tar")


@pytest.fixture
def out(whole: Whole, tmp_path: Path) -> Path:
    return whole.copy(tmp_path / "out")
