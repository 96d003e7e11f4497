"""The data set that the tests of this folder damage copies of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_verify import Whole, build_whole


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Whole:
    return build_whole(tmp_path_factory.mktemp("whole") / "set", face_film)


@pytest.fixture(scope="session")
def tarred(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Whole:
    return build_whole(tmp_path_factory.mktemp("tarred") / "set", face_film, "--layout", "tar")


@pytest.fixture
def out(whole: Whole, tmp_path: Path) -> Path:
    return whole.copy(tmp_path / "out")
