"""Every model of frames through the real loop: trained on a tiny pack, its weights saved, read again and scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cityguessr_bench.inference import load_model, predict_part
from cityguessr_bench.models import MODELS
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_bench.train.setup import build
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_checkpoints import write_mae, write_timesformer
from tests.support_models import small_model
from tests.support_runs import SMALL, make_small_pack

OF_FRAMES = sorted(name for name in MODELS if MODELS[name].takes == "frames")
PICTURES: dict[str, Any] = {"stored_frames": 4, "size_px": 16}


def small_run(name: str, **sections: dict[str, Any]) -> RunConfig:
    """The preset tiny of that model at the size of the tiny pack: what the model sets itself stays."""
    own = {key for section in MODELS[name].settings.values() for key in section}
    network = {**SMALL["network"], "decoder_layers": 2}
    small = {
        "data": {**PICTURES, "frames": 1 if "frames" in own else 4},
        "network": {key: v for key, v in network.items() if key not in own},
        "train": {**SMALL["train"], "epochs": 1},
    }
    return settings("tiny", name).changed(small, "SMALL").changed(sections, "the test")


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips of four frames; every third has no scene label."""
    return make_small_pack(tmp_path_factory.mktemp("d"), scenes=(True, True, False))


@pytest.mark.parametrize("name", OF_FRAMES)
def test_it_trains_and_is_scored(pack: Path, tmp_path: Path, name: str) -> None:
    (done,) = train(TrainRequest(pack, tmp_path / "run", "v", small_run(name), device="cpu"))
    assert done.n_steps == 3
    run = RunDir.open(done.folder)
    predictions = predict_part(run, "test", device="cpu")
    for level in LEVELS:
        found = np.exp(predictions.log_probs[level])
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-4)
    start = build(small_run(name), run.model_config)[1].state_dict()
    after = load_model(run).state_dict()
    assert start.keys() == after.keys()
    assert all(bool(t.isfinite().all()) for t in after.values())
    heads = [n for n in after if "heads" in n]
    assert all(not torch.equal(start[n], after[n]) for n in heads)


def test_a_pack_that_was_moved_is_scored_where_it_is(tmp_path: Path) -> None:
    pack = make_small_pack(tmp_path)
    train(TrainRequest(pack, tmp_path / "run", "v", small_run("mae"), device="cpu"))
    run = RunDir.open(tmp_path / "run")
    before = predict_part(run, "test", device="cpu")
    moved = pack.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="is no longer at") as told:
        predict_part(run, "test", device="cpu")
    assert told.value.hint == "Say where it is: --data PACK"
    after = predict_part(run, "test", moved, device="cpu")
    for level in LEVELS:
        np.testing.assert_array_equal(before.log_probs[level], after.log_probs[level])


@pytest.mark.parametrize("name", ["mae", "isns", "geodecoder", "timesformer"])
def test_a_run_starts_from_a_checkpoint_whose_geometry_it_takes(tmp_path: Path, name: str) -> None:
    """The settings say 3 attention heads, the file 2: what is told, what is built, and what is in it."""
    run = small_run(name)
    written = small_model(name, heads=2, frames=run.data.frames)
    folder = write_timesformer(tmp_path, written, 8) if name == "timesformer" else write_mae(tmp_path, written)
    told: list[str] = []
    run = run.changed({"network": {"weights": str(folder)}}, "the test")
    widths = run.model_config({"city": 5, "state": 4, "country": 3, "continent": 2}, 7, scenes=True)
    adopted, model = build(run, widths, told.append)
    assert (widths.heads, adopted.heads) == (3, 2)
    assert told == ["the checkpoint's geometry is taken: heads 2 (set: 3)"]
    state = model.state_dict()
    assert sum(name.endswith("cls_token") for name in state) == (3 if name == "isns" else 1)
    of_file = build(run, widths)[1].state_dict()
    again = build(run.changed({"train": {"seed": 1}}, "the test"), widths)[1].state_dict()
    for key in state:  # another seed draws other classifiers, and has the same encoder
        if "encoder" in key or "by_level" in key:
            assert torch.equal(of_file[key], again[key]) == ("encoder" in key), key


def test_a_checkpoint_of_another_frame_size_stops(tmp_path: Path) -> None:
    run = small_run("mae", network={"weights": str(write_mae(tmp_path, small_model("mae", size_px=24)))})
    widths = run.model_config({"city": 5, "state": 4, "country": 3, "continent": 2}, 7, scenes=True)
    with pytest.raises(InputError, match="takes 1 frames of 24 px, and the data is of 1 of 16 px"):
        build(run, widths)
