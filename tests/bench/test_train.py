"""Training on small real packs: it learns, it stops where it must and says why, it scores what it was told to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cityguessr_bench import checkpoints
from cityguessr_bench.data import read_split
from cityguessr_bench.evaluate_run import score_run
from cityguessr_bench.inference import load_model, predict_part
from cityguessr_bench.loader import Order
from cityguessr_bench.models import build_model
from cityguessr_bench.models.cityguessr import CityGuessr
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_config import RunConfig, TrainConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.scores import GeoOutput
from cityguessr_bench.train.log import Silent
from cityguessr_bench.train.optimiser import make_optimiser, rate
from cityguessr_bench.train.run import Trained, TrainRequest, train
from cityguessr_data.core.errors import InputError, MachineError, StopError
from cityguessr_data.core.types import LEVELS
from tests.support_models import small_config as small_model
from tests.support_runs import make_small_pack, small_config, write_split


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.losses: list[float] = []

    def said(self, message: str) -> None:
        self.sentences.append(message)

    def stepped(self, step: int, losses: Mapping[str, float], clips_per_s: float, memory_bytes: int) -> None:
        self.losses.append(losses["total"])


class Encoder:
    """A text encoder whose vectors are drawn by the text."""

    digest = "stub"

    def encode(self, texts: Any) -> np.ndarray[Any, Any]:
        rows = [np.random.default_rng(list(text.encode())).normal(size=9) for text in texts]
        return np.array(rows, np.float32)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third of its clips has no scene label; split `eight` has two clips of each city to train on."""
    folder = make_small_pack(tmp_path_factory.mktemp("data"), scenes=(True, True, False))
    ids = Pack.open(folder).clip_ids
    write_split(folder, "eight", {clip: "train" if clip[-7] == "0" else "test" for clip in ids})
    for fold in range(2):
        write_split(folder, f"k-fold{fold}", {clip: "test" if int(clip[-7]) == fold else "train" for clip in ids})
    return folder


@pytest.fixture(autouse=True)
def _stub_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cityguessr_bench.models.text_encoders.load_text_encoder", lambda _: Encoder())


def _train(pack: Path, run: Path, config: RunConfig, split: str = "v", **more: Any) -> tuple[Trained, Heard]:
    heard = Heard()
    (done,) = train(TrainRequest(pack, run, split, config, device="cpu", **more), heard)
    return done, heard


def _lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_batch_of_eight_clips_is_overfitted(pack: Path, tmp_path: Path) -> None:
    """All four levels of all eight clips, with every branch of the network on."""
    settings = {"epochs": 30, "batch": 8, "watch": "none", "report": "last", "augment": "none", "lr": 3e-3}
    config = small_config(network={"hidden": 24, "tla": True}, train=settings)
    _, heard = _train(pack, tmp_path / "run", config, "eight")
    run = RunDir.open(tmp_path / "run")
    found = predict_part(run, "train", device="cpu")
    assert len(found) == 8 and set(found.truth["city"].tolist()) == {0, 1, 2, 3}
    for level in LEVELS:
        assert (found.log_probs[level].argmax(axis=1) == found.truth[level]).all()
    first, last = _lines(run.folder)[0], _lines(run.folder)[-1]
    assert last["geo"] < 0.1 * first["geo"] and last["tla"] < first["tla"] and len(heard.losses) == 30
    parts = last["geo"] + last["scene"] + last["tla"]
    assert last["total"] == pytest.approx(parts, abs=1e-4)
    assert last["geo"] == pytest.approx(sum(last[f"geo/{level}"] for level in LEVELS), abs=1e-4)


def test_what_it_logs_scores_and_keeps(pack: Path, tmp_path: Path) -> None:
    done, heard = _train(pack, tmp_path / "run", small_config(train={"epochs": 4}))
    run, lines = RunDir.open(tmp_path / "run"), _lines(tmp_path / "run")
    assert [line["step"] for line in lines if "lr" in line] == list(range(1, 13))
    scored = [line for line in lines if "test/city" in line]
    assert [(line["epoch"], line["step"]) for line in scored] == [(1, 3), (2, 6), (3, 9), (4, 12)]
    best = max(scored, key=lambda line: line["test/city"])  # the first of equals
    assert (done.best_top1, done.best_epoch) == (best["test/city"], best["epoch"])
    assert (done.n_steps, done.n_epochs, done.was_finished) == (12, 4, False)
    for which, line in (("best", best), ("last", scored[-1])):
        found = predict_part(run, "test", which=which, device="cpu")  # type: ignore[arg-type]
        for level in LEVELS:
            right = (found.log_probs[level].argmax(axis=1) == found.truth[level]).mean()
            assert right == pytest.approx(line[f"test/{level}"])
    assert "4 of 16 clips to train on have no scene label and do not count in L_scene" in heard.sentences
    assert run.record["scenes"] == {"on": True, "why": "", "n_without": 4}
    assert list((run.folder / "tensorboard").iterdir())


def test_scenes_are_off_where_no_clip_has_them(tmp_path: Path) -> None:
    folder = make_small_pack(tmp_path / "data", scenes=(False,))
    _, heard = _train(folder, tmp_path / "run", small_config(train={"epochs": 1}))
    assert heard.sentences == ["scenes off: no clip of the data has scene labels"]
    run = RunDir.open(tmp_path / "run")
    assert not run.model_config.scenes and run.record["scenes"]["why"] == "no clip of the data has scene labels"
    assert "scene" not in _lines(run.folder)[0]


def test_a_city_without_training_clips_is_told(pack: Path, tmp_path: Path) -> None:
    ids = Pack.open(pack).clip_ids
    split = write_split(tmp_path, "gap", {clip: "test" if clip.startswith("osaka") else "train" for clip in ids})
    heard = Heard()
    train(TrainRequest(pack, tmp_path / "run", split, small_config(train={"epochs": 1}), device="cpu"), heard)
    assert heard.sentences[0] == "no clip to train on: Osaka; these cities cannot be learnt"
    assert predict_part(RunDir.open(tmp_path / "run"), "test", device="cpu").clip_ids[0] == "osaka0_00000"


def test_shuffled_labels_are_what_is_learnt(pack: Path, tmp_path: Path) -> None:
    """With a step size of 0 the first loss is that of the untrained network against the shuffled labels."""
    losses = {}
    for shuffle in (False, True):
        settings = {"epochs": 1, "batch": 16, "shuffle_labels": shuffle, "augment": "none"}
        _train(pack, tmp_path / str(shuffle), small_config(train=settings))
        losses[shuffle] = _lines(tmp_path / str(shuffle))[0]["geo/city"]
    assert losses[False] != losses[True]


def test_an_evaluation_tells_a_control_and_a_run_under_way(pack: Path, tmp_path: Path) -> None:
    config = small_config(train={"epochs": 2, "shuffle_labels": True, "watch": "none", "report": "last"})
    _train(pack, tmp_path / "run", config)
    run = RunDir.open(tmp_path / "run")
    newest = checkpoints.last(run.checkpoints)
    assert newest is not None
    for epochs in (2, 1):
        progress = replace(checkpoints.read_progress(newest), epochs=epochs)
        (newest / "about.json").write_text(json.dumps(asdict(progress)))
        notes = score_run(run, device="cpu").results.notes
        assert "trained with shuffled labels" in notes[0]
        assert any("is not finished: 1 of its 2 epochs" in note for note in notes) == (epochs == 1)


def test_a_loss_that_is_no_number_stops_the_run(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the fourth step, of the second epoch; nothing is saved after it."""
    forward, calls = CityGuessr.forward, []

    def broken(self: CityGuessr, clips: torch.Tensor, scenes: torch.Tensor) -> GeoOutput:
        scores = forward(self, clips, scenes)
        calls.extend([1] if self.training else [])
        if len(calls) == 4:
            return GeoOutput({**scores.logits, "state": scores.logits["state"] * math.nan}, *_rest(scores))
        return scores

    monkeypatch.setattr(CityGuessr, "forward", broken)
    with pytest.raises(StopError, match=r"the loss is nan at step 4, with the clips ") as stopped:
        _train(pack, tmp_path / "run", small_config())
    last = _lines(tmp_path / "run")[-1]
    assert last["step"] == 4 and last["stopped"] == "the loss is nan" and len(last["clips"]) == 7
    assert all(clip in stopped.value.message for clip in last["clips"])
    data = Pack.open(pack)
    of_step = Order(read_split(data, "v").parts["train"], 7, 0).of_step(3)
    assert last["clips"] == [data.clip_ids[place] for place in of_step]
    newest = checkpoints.last(tmp_path / "run" / "checkpoints")
    assert newest is not None and newest.name == "00000003-0001"
    calls.clear()
    calls.extend([0] * 9)  # mended
    done, _ = _train(pack, tmp_path / "run", small_config(), resume=True)
    assert done.n_steps == 6 and [line["step"] for line in _lines(tmp_path / "run")] == [1, 2, 3, 3, 4, 5, 6, 6]


def test_weights_that_are_no_numbers_are_not_saved(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sixth gradient is NaN, and no loss is: none follows."""
    forward, calls = CityGuessr.forward, []

    def steep(self: CityGuessr, clips: torch.Tensor, scenes: torch.Tensor) -> GeoOutput:
        scores = forward(self, clips, scenes)
        calls.extend([1] if self.training else [])
        if self.training and len(calls) == 6:
            scores.logits["state"].register_hook(lambda gradient: gradient * math.nan)
        return scores

    monkeypatch.setattr(CityGuessr, "forward", steep)
    with pytest.raises(StopError, match="a weight is no number at step 6, with the clips "):
        _train(pack, tmp_path / "run", small_config())
    assert _lines(tmp_path / "run")[-1]["stopped"] == "a weight is no number"
    newest = checkpoints.last(tmp_path / "run" / "checkpoints")
    assert newest is not None and newest.name == "00000003-0001"


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_out_of_memory_says_what_to_try(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Exception
) -> None:
    forward = CityGuessr.forward

    def full(self: CityGuessr, clips: torch.Tensor, scenes: torch.Tensor) -> GeoOutput:
        if self.training or at_once:
            raise kind
        return forward(self, clips, scenes)

    at_once = False
    monkeypatch.setattr(CityGuessr, "forward", full)
    with pytest.raises(MachineError, match=r"not enough memory for train\.batch=7") as stopped:
        _train(pack, tmp_path / "run", small_config())
    at_once = True  # the one clip that a model is asked about first is too much
    with pytest.raises(MachineError, match="not enough memory for one clip of the model cityguessr"):
        _train(pack, tmp_path / "other", small_config())
    assert "--set train.batch=3" in stopped.value.hint and "network.checkpointing=true" in stopped.value.hint


def test_other_faults_are_not_taken_for_it(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = CityGuessr.forward

    def wrong(self: CityGuessr, clips: torch.Tensor, scenes: torch.Tensor) -> GeoOutput:
        if self.training:
            raise RuntimeError("another fault")
        return forward(self, clips, scenes)

    monkeypatch.setattr(CityGuessr, "forward", wrong)
    with pytest.raises(RuntimeError, match="another fault"):
        _train(pack, tmp_path / "run", small_config())


def test_every_fold_is_a_run(pack: Path, tmp_path: Path) -> None:
    request = TrainRequest(pack, tmp_path / "run", "k", small_config(train={"epochs": 1}), device="cpu")
    done = train(request)
    assert [(one.folder.name, one.split, one.was_finished) for one in done] == [
        ("fold0", "k-fold0", False),
        ("fold1", "k-fold1", False),
    ]
    for fold in range(2):
        run = RunDir.open(tmp_path / "run" / f"fold{fold}")
        assert {clip[-7] for clip in predict_part(run, "test", device="cpu").clip_ids} == {str(fold)}
    with pytest.raises(InputError, match="is not empty"):
        train(request)
    import dataclasses
    import shutil

    shutil.rmtree(tmp_path / "run" / "fold1")
    again = train(dataclasses.replace(request, resume=True))
    assert [one.was_finished for one in again] == [True, False]
    with pytest.raises(InputError, match="holds a run of each fold"):
        train(dataclasses.replace(request, resume=True, split="v"))


def test_bfloat16_trains(pack: Path, tmp_path: Path) -> None:
    done, heard = _train(pack, tmp_path / "run", small_config(train={"precision": "bf16"}))
    assert done.n_steps == 6 and np.isfinite(heard.losses).all()
    weights = load_model(RunDir.open(tmp_path / "run")).state_dict()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        _train(pack, tmp_path / "other", small_config(train={"precision": "fp16"}))


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn(pack: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    found = []
    for at, seed in enumerate((0, 0, 1)):
        torch.rand(at)
        state = torch.get_rng_state()
        _train(
            pack, tmp_path / str(at), small_config(train={"epochs": 1, "seed": seed, "watch": "none", "report": "last"})
        )
        assert torch.equal(torch.get_rng_state(), state)
        model = load_model(RunDir.open(tmp_path / str(at)))
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    torch.set_rng_state(before)


def test_rates_by_hand() -> None:
    config = TrainConfig(lr=2.0, warmup=0.1, schedule="cosine")
    assert [rate(step, 40, config) for step in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert rate(4, 40, config) == 2.0
    assert rate(22, 40, config) == pytest.approx(1.0)
    assert rate(39, 40, config) == pytest.approx(1 + math.cos(math.pi * 35 / 36))
    assert {rate(step, 40, TrainConfig(lr=2.0)) for step in range(40)} == {2.0}
    assert [rate(step, 10, TrainConfig(lr=1.0, warmup=0.5)) for step in range(6)] == [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]


def test_weight_decay_spares_biases_and_norms() -> None:
    model = build_model("cityguessr", small_model(frames=2))
    groups = make_optimiser(model, TrainConfig(optimiser="adamw", weight_decay=0.05)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    for part in model.modules():
        for name, p in part.named_parameters(recurse=False):
            spared = name.endswith("bias") or isinstance(part, nn.LayerNorm)
            assert decay.pop(id(p)) == (0.0 if spared else 0.05)
    assert not decay
    adam = make_optimiser(model, TrainConfig(weight_decay=0.05))
    assert type(adam) is torch.optim.Adam and [g["weight_decay"] for g in adam.param_groups] == [0]


def _rest(scores: GeoOutput) -> tuple[Any, ...]:
    return scores.pv_attended, scores.scene_logits, scores.text_vector
