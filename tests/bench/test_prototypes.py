"""Retrieval against class prototypes, against a brute force in numpy; and a run that is fitted in one pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cityguessr_bench.checkpoints import last, read_progress
from cityguessr_bench.data import read_split
from cityguessr_bench.evaluate_run import score_run
from cityguessr_bench.inference import load_model, predict_part
from cityguessr_bench.loader import shuffled_labels
from cityguessr_bench.models import ModelConfig, build_model, parameter_counts
from cityguessr_bench.models.prototypes import TEMPERATURE, Prototypes
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import PRESETS, settings
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.errors import InputError, StopError
from cityguessr_data.core.types import LEVELS
from tests.support_features import feature_config, make_feature_pack, write_dinov2
from tests.support_models import small_config

SMALL: dict[str, Any] = {"feature_dim": 6, "scenes": False, "tla": False}


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _cosines(train: np.ndarray, labels: np.ndarray, asked: np.ndarray, n_classes: int) -> np.ndarray:
    """(N, classes): clips (T, D) one by one in float64; NaN for a class that no clip of `train` has."""
    cosines = np.full((len(asked), n_classes), np.nan)
    for label in set(labels.tolist()):
        mine = [_unit(clip.astype(np.float64).mean(0)) for clip, own in zip(train, labels, strict=True) if own == label]
        prototype = _unit(np.mean(mine, axis=0))
        for row, clip in enumerate(asked):
            cosines[row, label] = _unit(clip.astype(np.float64).mean(0)) @ prototype
    return cosines


def _fitted(seed: int = 0) -> tuple[Prototypes, np.ndarray, np.ndarray]:
    """A model, the clips that it was fitted on, and their labels; the last city and state have none."""
    rng = np.random.default_rng(seed)
    clips = rng.normal(0.3, 1, (23, 4, 6)).astype(np.float16)
    config = small_config(**SMALL)
    labels = np.stack([rng.integers(0, n - (n > 3), 23) for n in config.classes.values()], axis=1)
    model = build_model("prototypes", config)
    assert isinstance(model, Prototypes)
    model.fit_pass((torch.from_numpy(clips[i : i + 5]), torch.from_numpy(labels[i : i + 5])) for i in range(0, 23, 5))
    return model, clips, labels


def test_scores_are_those_of_a_brute_force() -> None:
    model, clips, labels = _fitted()
    asked = np.random.default_rng(9).normal(0.3, 1, (7, 4, 6)).astype(np.float16)
    logits = model(torch.from_numpy(asked)).logits
    for at, level in enumerate(LEVELS):
        expected = _cosines(clips, labels[:, at], asked, len(model.heads[level]))
        seen = ~np.isnan(expected[0])
        assert seen.sum() == len(set(labels[:, at].tolist()))
        assert logits[level].numpy()[:, seen] == pytest.approx(expected[:, seen] / 0.01, abs=1e-3)
    assert TEMPERATURE == 0.01


def test_a_class_without_a_clip_is_never_guessed_and_its_logarithm_is_finite() -> None:
    model, clips, _ = _fitted()
    opposite = -clips  # as unlike as can be
    for asked in (clips, opposite):
        logits = model(torch.from_numpy(asked)).logits["city"]
        assert (logits[:, -1] == -200).all() and (logits[:, :-1] >= -100.01).all()
        chances = torch.log_softmax(logits, dim=1)
        assert chances.isfinite().all() and (chances[:, -1].exp() < 1e-40).all()


def test_half_precision_around_it_changes_nothing() -> None:
    model, clips, _ = _fitted()
    plain = model(torch.from_numpy(clips)).logits["city"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model(torch.from_numpy(clips)).logits["city"], plain)


def test_fitting_again_forgets() -> None:
    model, clips, labels = _fitted()
    first = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.fit_pass([(torch.from_numpy(clips[:3]), torch.from_numpy(labels[:3]))])
    assert not torch.equal(model.state_dict()["heads.city"], first["heads.city"])
    model.fit_pass([(torch.from_numpy(clips), torch.from_numpy(labels))])
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, first[name], atol=1e-6)


def test_its_size_and_settings() -> None:
    """420 classes of CLIP's 768 numbers; one epoch under every preset."""
    model = build_model("prototypes", ModelConfig(166, 157, 91, 6, feature_dim=768, scenes=False, tla=False))
    assert parameter_counts(model)["total"] == (166 + 157 + 91 + 6) * 768 == 322_560
    assert not any(parameter.requires_grad for parameter in model.parameters())
    for preset in PRESETS:
        run = settings(preset, "prototypes")
        assert (run.train.epochs, run.train.augment, run.data.features) == (1, "none", "clip")
    with pytest.raises(InputError, match="takes cached features"):
        build_model("prototypes", small_config())


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prototypes")
    return make_feature_pack(folder, write_dinov2(folder / "dino"))


def _clips(pack: Pack, places: np.ndarray) -> np.ndarray:
    return np.stack([pack.clip(int(place)) for place in places])


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_run_is_one_pass_and_a_run_like_others(pack: Path, tmp_path: Path, shuffled: bool) -> None:
    config = feature_config(pack.parent / "dino", "prototypes", train={"shuffle_labels": shuffled, "seed": 4})
    done = train(TrainRequest(pack, tmp_path / "run", "v", config, device="cpu"))
    opened, run = Pack.open(pack), RunDir.open(tmp_path / "run")
    split = read_split(opened, "v")
    seen, asked = split.parts["train"], split.parts["test"]
    labels = shuffled_labels(opened.labels, seen, 4) if shuffled else opened.labels
    found = predict_part(run, "test", device="cpu")
    for at, level in enumerate(LEVELS):
        n_classes = opened.classes.sizes[level]
        cosines = _cosines(_clips(opened, seen), labels[seen, at], _clips(opened, asked), n_classes) / 0.01
        expected = cosines - np.log(np.exp(cosines - cosines.max(1, keepdims=True)).sum(1, keepdims=True))
        assert found.log_probs[level] == pytest.approx(expected - cosines.max(1, keepdims=True), abs=2e-3)
    newest = last(run.checkpoints)
    assert newest is not None
    progress = read_progress(newest)
    assert (progress.step, progress.epochs, progress.best, progress.best_epoch) == (3, 1, newest.name, 1)
    top1 = float((found.log_probs["city"].argmax(1) == found.truth["city"]).mean())
    assert done[0].best_top1 == progress.best_top1 == pytest.approx(top1)
    lines = [json.loads(line) for line in run.metrics_path.read_text().splitlines()]
    assert [sorted(line) for line in lines] == [
        ["clips_per_s", "epoch", "lr", "step"],
        ["epoch", "step", "test/city", "test/continent", "test/country", "test/state"],
    ]
    again = train(TrainRequest(pack, tmp_path / "run", "v", config, resume=True, device="cpu"))
    assert again[0].was_finished and len(run.metrics_path.read_text().splitlines()) == 2


def test_a_city_without_training_clips(pack: Path, tmp_path: Path) -> None:
    """Its predictions are finite and pass the checks of the file; the evaluation goes through."""
    opened = Pack.open(pack)
    tokyo = {clip_id for clip_id in opened.clip_ids if clip_id.startswith("tokyo")}
    from tests.support_runs import write_split

    parts = {c: "test" if c in tokyo or c.endswith("1") else "train" for c in opened.clip_ids}
    split = write_split(tmp_path, "holes", parts)
    config = feature_config(pack.parent / "dino", "prototypes", train={"watch": "none", "report": "last"})
    train(TrainRequest(pack, tmp_path / "run", split, config, device="cpu"))
    run = RunDir.open(tmp_path / "run")
    scored = score_run(run, device="cpu")
    scored.predictions.write(run.predictions_path, run.classes)
    label = list(run.classes.names["city"]).index("Tokyo")
    assert (scored.predictions.log_probs["city"][:, label] < -99).all()
    assert np.isfinite(scored.predictions.log_probs["city"]).all()


@pytest.mark.parametrize("watch", ["none", "test"])
def test_stopped_in_the_pass_it_starts_again(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: str
) -> None:
    config = feature_config(pack.parent / "dino", "prototypes", train={"watch": watch, "report": "last"})
    request = TrainRequest(pack, tmp_path / "run", "v", config, device="cpu")
    with monkeypatch.context() as patched:
        patched.setattr("cityguessr_bench.train.interrupt.Interrupts.__enter__", _asked)
        with pytest.raises(KeyboardInterrupt):
            train(request)
    assert last(tmp_path / "run" / "checkpoints") is None
    train(TrainRequest(pack, tmp_path / "run", "v", config, resume=True, device="cpu"))
    train(TrainRequest(pack, tmp_path / "whole", "v", config, device="cpu"))
    states = [load_model(RunDir.open(tmp_path / name)).state_dict() for name in ("run", "whole")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def _asked(interrupts: Any) -> Any:
    interrupts.asked = True
    return interrupts


def test_what_cannot_be_fitted(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = feature_config(pack.parent / "dino", "prototypes")
    several = config.changed({"train": {"epochs": 3}}, "x")
    with pytest.raises(InputError, match=r"train\.epochs is 3, and the model prototypes is fitted in one pass"):
        train(TrainRequest(pack, tmp_path / "run", "v", several, device="cpu"))
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("cityguessr_bench.pack.read.Pack.read", lambda *given: given[-1].fill(np.nan))
    with pytest.raises(StopError, match="a weight is no number"):
        train(TrainRequest(pack, tmp_path / "nan", "v", config, device="cpu"))
    assert last(tmp_path / "nan" / "checkpoints") is None
