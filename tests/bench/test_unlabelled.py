"""isns goes by scene labels: where clips have none, training, evaluation and prediction say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_bench.evaluate_run import score_run
from cityguessr_bench.inference import load_model
from cityguessr_bench.predict.answer import answer
from cityguessr_bench.predict.clips import ClipRule
from cityguessr_bench.predict.results import VideoPrediction
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.log import Silent
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from tests.bench.test_models_train import small_run
from tests.support_runs import make_small_pack
from tests.support_video import numbered_video


class Said(Silent):
    """What a person is told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def said(self, message: str) -> None:
        self.sentences.append(message)


def _trained(folder: Path, name: str, scenes: tuple[bool, ...]) -> tuple[RunDir, str]:
    pack, told = make_small_pack(folder, scenes=scenes), Said()
    train(TrainRequest(pack, folder / "run", "v", small_run(name), device="cpu"), told)
    return RunDir.open(folder / "run"), " ".join(told.sentences)


@pytest.mark.parametrize("scenes", [(True, True, False), (False,), (True,)])
def test_how_many_clips_it_had_to_do_without(tmp_path: Path, scenes: tuple[bool, ...]) -> None:
    """24 clips, 6 a city: the first four of each are of train."""
    run, told = _trained(tmp_path, "isns", scenes)
    without = [clip for clip in range(24) if not scenes[clip % len(scenes)]]
    n_train, n_test = sum(clip % 6 < 4 for clip in without), sum(clip % 6 >= 4 for clip in without)
    assert (f"{n_train} of 16 clips to train on have no scene label" in told) == bool(n_train)
    notes = " ".join(score_run(run, device="cpu").results.notes)
    assert (f"{n_test} of 8 evaluated clips have no scene label" in notes) == bool(n_test)
    assert (f"{n_train} clips that the run was trained on have no scene label" in notes) == bool(n_train)
    assert ("no scene label" in told, "no scene label" in notes) == (bool(without), bool(without))


@pytest.mark.parametrize("name", ["isns", "mae"])
def test_a_video_has_no_label(tmp_path: Path, name: str) -> None:
    run, told = _trained(tmp_path, name, (True,))
    assert "no scene label" not in told
    downloader = Downloader(DownloadConfig(cache=tmp_path / "cache"))
    film = str(numbered_video(tmp_path / "film.mp4", 20))
    (found,) = answer([film], run, load_model(run), downloader, rule=ClipRule(8, 16, 8))
    assert isinstance(found, VideoPrediction)
    assert any("goes by a clip's scene label" in note for note in found.notes) == (name == "isns")
