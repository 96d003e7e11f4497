"""The example of docs/add-a-model.md is the code that runs here, and the page names what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from cityguessr_bench.inference import predict_part
from cityguessr_bench.models import MODELS, ModelEntry, build_model, load_plugin
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_models import random_clips, small_model
from tests.support_runs import SMALL, make_small_pack

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-model.md").read_text(encoding="utf-8")
NAME = "frame-cnn"


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """The page's Python as a file; the registry is as before afterwards."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "my_model.py"
    path.write_text(code, encoding="utf-8")
    before = dict(MODELS)
    yield path
    MODELS.clear()
    MODELS.update(before)


def _config() -> RunConfig:
    small = {"data": SMALL["data"], "network": {"hidden": 12}, "train": SMALL["train"]}
    return settings("tiny", NAME).changed(small, "SMALL")


def test_the_example_trains_and_is_scored(plugin: Path, tmp_path: Path) -> None:
    assert load_plugin(plugin) == (NAME,)
    pack = make_small_pack(tmp_path)
    (done,) = train(TrainRequest(pack, tmp_path / "run", "v", _config(), device="cpu"))
    assert done.n_steps == 6
    predictions = predict_part(RunDir.open(done.folder), "test", device="cpu")
    assert len(predictions.log_probs["city"]) == 8
    for level in LEVELS:
        np.testing.assert_allclose(np.exp(predictions.log_probs[level]).sum(1), 1, atol=1e-4)


def test_the_example_is_what_the_page_says(plugin: Path) -> None:
    """A network on each frame by itself and a mean: neither the order nor a repetition of the frames counts."""
    load_plugin(plugin)
    torch.manual_seed(0)
    config = small_model(NAME)
    model = build_model(NAME, config).eval()
    clips = random_clips(config, 3)
    with torch.no_grad():
        city = model(clips).logits["city"]
        torch.testing.assert_close(model(clips.flip(1)).logits["city"], city)
        one = clips[:, :1].expand(-1, 4, -1, -1, -1)
        halves = [model(clips[:, at : at + 1].expand_as(one)).logits["city"] for at in range(4)]
    torch.testing.assert_close(torch.stack(halves).mean(0), city)


def test_every_preset_takes_the_example(plugin: Path) -> None:
    load_plugin(plugin)
    for preset in ("paper", "authors", "improved", "tiny"):
        run = settings(preset, NAME)
        assert (run.network.weights, run.network.tla, run.network.scenes) == ("random", False, False)


def test_the_same_file_twice_is_told(plugin: Path) -> None:
    load_plugin(plugin)
    with pytest.raises(InputError, match="'frame-cnn' is registered twice"):
        load_plugin(plugin)


def test_a_file_with_dataclasses_is_read(plugin: Path) -> None:
    """With their types as texts they are looked up in the module by its name."""
    more = "from dataclasses import dataclass\n\n@dataclass\nclass Sizes:\n    width: int = 3\n"
    code = plugin.read_text(encoding="utf-8").replace("from torch import", f"{more}\nfrom torch import", 1)
    plugin.write_text("from __future__ import annotations\n" + code.partition('"""\n')[2], encoding="utf-8")
    assert load_plugin(plugin) == (NAME,)


@pytest.mark.parametrize("end", ["raise SystemExit(0)", "1 / 0", "def"])
def test_a_file_that_fails_is_told(tmp_path: Path, end: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(end)
    with pytest.raises(InputError, match=r"bad\.py fails: (SystemExit|ZeroDivisionError|SyntaxError)"):
        load_plugin(path)


def test_the_page_names_every_field_of_an_entry_and_files_that_exist() -> None:
    for spec in fields(ModelEntry):
        assert f"`{spec.name}`" in PAGE
    for path in re.findall(r"`((?:tests|cityguessr_bench|models)/[\w/]*\.py)`", PAGE):
        assert (ROOT / path).is_file() or (ROOT / "cityguessr_bench" / path).is_file(), path
