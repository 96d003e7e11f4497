"""Cached features as a user has them: pack --features, train, evaluate, predict; and what each refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import CLIPModel

from cityguessr_bench.inference import load_model
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_dir import RunDir
from tests.support_bench import Done
from tests.support_features import CLIP_MEAN, CLIP_STD, SIZE_PX, clip_state, write_clip
from tests.support_runs import write_small_out
from tests.support_video import numbered_video

SMALL = ("--preset", "tiny", "--set", "data.frames=4", "--set", "data.stored_frames=4")


@pytest.fixture(autouse=True)
def no_shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders are found by their folders alone."""
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, an encoder, and a video."""
    made = tmp_path_factory.mktemp("features")
    write_small_out(made / "out")
    write_clip(made / "encoder")
    numbered_video(made / "walk.mp4", 60)
    return made


def _refused(done: Done, *words: str) -> None:
    assert (done.code, done.out) == (2, "") and done.err.count("\n") == 1 and done.err.startswith("error: ")
    for word in words:
        assert word in done.err


def _train(folder: Path, run: Path, model: str, *more: object, data: str = "pack") -> list[object]:
    of = ("--set", f"data.features={folder / 'encoder'}", "--set", "network.hidden=12")
    return ["train", folder / data, "--run", run, "--split", "v", "--model", model, "--device", "cpu", *SMALL, *of,
            "--set", "train.batch=7", *more]  # fmt: skip


@pytest.fixture
def packed(bench: Any, folder: Path) -> Path:
    """Made by the first test that asks for it, and found by the others."""
    done = bench("pack", folder / "out", "--to", folder / "pack", "--features", folder / "encoder", *SMALL)
    assert done.code == 0, done.err
    return folder / "pack"


def test_pack_says_what_it_takes(bench: Any, folder: Path, tmp_path: Path) -> None:
    words = ["pack", folder / "out", "--to", tmp_path / "p", "--features", folder / "encoder", *SMALL]
    done = bench(*words, "--json")
    assert done.code == 0 and "p: 1.2 kB; " in done.err.splitlines()[0]  # 24 clips x 4 frames x 6 numbers x 2 bytes
    told = json.loads(done.out)
    assert (told["n_clips"], told["n_shards_made"], told["splits"]) == (24, 1, ["v"])
    assert "nothing to do" in bench(*words, "--device", "cpu").out
    assert Pack.open(tmp_path / "p").config.encoder == str(folder / "encoder")
    _refused(bench(*words[:4], "--precision", "fp32"), "belong to --features")
    _refused(bench(*words, "--precision", "int8"), "there is no precision 'int8'")
    _refused(bench(*words[:4], "--features", tmp_path / "none"), f"there is no folder {tmp_path / 'none'}")
    _refused(bench(*words[:4], "--features", "dinov2"), "facebook/dinov2-large are not on this machine", "hf download")
    (tmp_path / "half").mkdir()
    _refused(bench(*words[:4], "--features", tmp_path / "half"), "lacks config.json and model.safetensors")


def test_frozen_from_training_to_prediction(bench: Any, folder: Path, packed: Path, tmp_path: Path) -> None:
    more = ("--set", "train.epochs=2")
    done = bench(*_train(folder, tmp_path / "run", "frozen", *more))
    assert done.code == 0, done.err
    _refused(bench(*_train(folder, tmp_path / "run", "frozen", *more)), "is not empty")
    assert "was finished" in bench(*_train(folder, tmp_path / "run", "frozen", *more, "--resume")).out
    done = bench("evaluate", tmp_path / "run", "--device", "cpu", "--json")
    assert done.code == 0 and json.loads(done.out)["n_clips"] == 8, done.err
    page = (tmp_path / "run" / "report.html").read_text()
    assert "There are no pictures" in page
    rows = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pylist()
    pack, model = Pack.open(packed), load_model(RunDir.open(tmp_path / "run"))
    for row in rows:
        clip = torch.from_numpy(pack.clip(pack.clip_ids.index(row["clip_id"])))[None]
        with torch.no_grad():
            expected = torch.log_softmax(model(clip).logits["city"], 1)[0]
        assert row["log_probs_city"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_prototypes_and_what_they_say_of_a_video(bench: Any, folder: Path, packed: Path, tmp_path: Path) -> None:
    """A video's frames are decoded with OpenCV here, and given to the library's own CLIP."""
    done = bench(*_train(folder, tmp_path / "run", "prototypes"))
    assert done.code == 0 and "1 epoch, 3 steps" in done.out and "clips/s" in done.err, done.err
    assert bench("evaluate", tmp_path / "run", "--device", "cpu", "--no-html").code == 0
    ask = ("predict", folder / "walk.mp4", "--run", tmp_path / "run", "--device", "cpu", "--mode", "none", "--json")
    done = bench(*ask)
    assert done.code == 0, done.err
    capture, frames = cv2.VideoCapture(str(folder / "walk.mp4")), []
    while (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)[:, :, ::-1])
    pixels = torch.from_numpy(np.stack([frames[i] for i in (0, 15, 30, 45)]).transpose(0, 3, 1, 2) / 255).float()
    normal = (pixels - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)
    clip: Any = CLIPModel.from_pretrained(folder / "encoder")
    run = RunDir.open(tmp_path / "run")
    with torch.no_grad():
        answer = clip.eval().get_image_features(normal)
        vectors = answer if isinstance(answer, torch.Tensor) else answer.pooler_output
        chances = torch.softmax(load_model(run)(vectors[None]).logits["city"], 1)[0].tolist()
    (video,) = json.loads(done.out)["videos"]
    told = {guess["name"]: guess["probability"] for guess in video["levels"]["city"]}
    assert told == pytest.approx(dict(zip(run.classes.names["city"], chances, strict=True)), abs=0.03)
    assert max(chances) - min(chances) > 0.1


def test_predict_wants_the_encoder_of_the_run(bench: Any, folder: Path, packed: Path, tmp_path: Path) -> None:
    assert bench(*_train(folder, tmp_path / "run", "prototypes")).code == 0
    ask = ("predict", folder / "walk.mp4", "--run", tmp_path / "run", "--device", "cpu")
    write_clip(folder / "encoder", clip_state(seed=8))
    _refused(bench(*ask), "is not the encoder that", "digest")
    (folder / "encoder").rename(folder / "elsewhere")
    _refused(bench(*ask), f"there is no folder {folder / 'encoder'}")
    assert bench("evaluate", tmp_path / "run", "--device", "cpu", "--no-html").code == 0  # of the pack alone
    (folder / "elsewhere").rename(folder / "encoder")
    write_clip(folder / "encoder")
    assert bench(*ask).code == 0


def test_a_data_set_is_packed_for_training(bench: Any, folder: Path, tmp_path: Path) -> None:
    done = bench(*_train(folder, tmp_path / "run", "prototypes", data="out"))
    assert done.code == 0 and "packing" in done.err, done.err
    (made,) = folder.glob("out.pack-4-encoder-*")
    assert RunDir.open(tmp_path / "run").data_folder == made
    done = bench(*_train(folder, tmp_path / "again", "frozen", "--set", "train.epochs=1", data="out"))
    assert done.code == 0 and "packing" not in done.err, done.err


def test_models_and_packs_that_do_not_fit(bench: Any, folder: Path, packed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    _refused(bench(*_train(folder, run, "videomae")), "the model videomae takes frames")
    _refused(bench(*_train(folder, run, "frozen", "--set", "data.features=")), "takes cached features")
    _refused(
        bench(*_train(folder, run, "frozen", "--set", "data.features=clip")), "holds features of", "clip-vit-large"
    )
    _refused(bench(*_train(folder, run, "prototypes", "--set", "train.epochs=4")), "train.epochs=1")
    frames = ("train", packed, "--run", run, "--split", "v", "--model", "videomae", *SMALL)
    _refused(bench(*frames, "--set", "network.weights=random"), "and the run wants frames")
    assert not run.exists()
