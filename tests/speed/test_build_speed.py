"""The arithmetic of a measured build, and one real measurement at the smallest size."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.build_config import BuildConfig
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.timing import Cost, Timing, interleaved
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.speed.build import BuildSpeed, SpeedConfig, measure_build
from cityguessr_data.speed.stages import Bare, Candidate, Limits, _best, decode_only
from cityguessr_data.stages.anonymise import AnonymiseConfig
from cityguessr_data.stages.clip import ClipConfig
from cityguessr_data.vision.agreement import Difference
from cityguessr_data.vision.retinaface.detector import DetectorConfig
from cityguessr_data.vision.scenes import SceneConfig


def timing(*seconds: tuple[float, float]) -> Timing:
    return Timing(tuple(Cost(wall, cpu) for wall, cpu in seconds))


def candidate(library: str, cpu_s: float, lost: int = 0, new: int = 0) -> Candidate:
    return Candidate(library, timing((cpu_s, cpu_s)), 10, Difference(50, lost, new), False)


def test_the_limit_and_what_a_clip_costs_by_hand() -> None:
    """Two clips more take 6 s of clock and 9 s of processor: 3 and 4.5 each. Bare stages need 4 s of two cores: 2."""
    stages = (Bare("decode", "PyAV", 1.5, 1.5), Bare("detect", "OpenVINO", 1.3, 2.5))
    limits = Limits(stages, (), 900, 100, (1280, 720))
    found = BuildSpeed(
        limits,
        small=timing((4, 5), (5, 6), (90, 7)),
        large=timing((10, 14), (11, 15), (12, 90)),
        small_clips=1,
        large_clips=3,
        workers=1,
        cores=2,
        stage_seconds={},
    )
    assert (found.clip_wall_s, found.clip_cpu_s) == (3.0, 4.5)
    assert limits.wall_s(2) == 2.0
    assert found.limit_over_actual == pytest.approx(2 / 3)
    assert found.cpu_share == pytest.approx(4 / 4.5)
    assert found.busy_share == pytest.approx(4.5 / 6)
    assert found.start_s == pytest.approx(5 - 3)


def test_a_gpu_works_beside_the_cores() -> None:
    stages = (Bare("decode", "PyAV", 1.0, 4.0), Bare("detect", "PyTorch", 3.0, 3.0, on_gpu=True))
    assert Limits(stages, (), 900, 100, (1280, 720)).wall_s(2) == 3.0
    assert Limits(stages, (), 900, 100, (1280, 720)).wall_s(1) == 4.0


def test_the_limit_is_of_the_quickest_that_finds_the_same_faces() -> None:
    quick = candidate("openvino", 1.0, lost=1)
    assert _best([candidate("torch", 3.0), candidate("onnx", 2.0), quick]).runtime == "onnx"
    assert _best([candidate("torch", 3.0, new=1), quick]).runtime == "openvino"


def test_candidates_take_turns_and_a_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, warm_up=1)
    assert "".join(calls) == "abababab"
    assert [len(one.costs) for one in found.values()] == [3, 3]
    with pytest.raises(ValueError, match="1 round or more"):
        interleaved({}, rounds=0)


def test_a_median_is_of_each_figure_by_itself() -> None:
    found = timing((1, 9), (3, 5), (2, 7))
    assert (found.wall_s, found.cpu_s, found.wall_range_s) == (2, 7, (1, 3))


def config(video: Path, folder: Path, workers: int = 1) -> BuildConfig:
    return BuildConfig(
        sources=video,
        out=folder / "out",
        download=DownloadConfig(cache=folder / "cache"),
        clip=ClipConfig(20, 20, 5),
        anonymise=AnonymiseConfig(DetectorConfig("mobilenet0.25", device="cpu")),
        scenes=SceneConfig("off"),
        workers=workers,
    )


def test_only_the_frames_asked_for_are_decoded(face_film: Path) -> None:
    assert decode_only(face_film, 7) == 7
    assert decode_only(face_film, 10_000) == 60


def test_a_video_too_short_is_refused(face_film: Path, tmp_path: Path, detector_weights: Path) -> None:
    long = config(face_film, tmp_path)
    with pytest.raises(InputError, match="has 60 frames, a clip 800"):
        measure_build(SpeedConfig(BuildConfig(**{**long.__dict__, "clip": ClipConfig()}), face_film, 1, 1))
    with pytest.raises(InputError, match="measure nothing"):
        measure_build(SpeedConfig(long, face_film, 0, 1))
