"""What a new model answers is looked at before its run is made: branches that it lacks, shapes that it gets wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cityguessr_bench.models import MODELS, ModelConfig, build_model, register
from cityguessr_bench.models.heads import HierarchyHeads
from cityguessr_bench.scores import GeoOutput
from cityguessr_bench.train.answers import check_answer
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.errors import InputError
from tests.bench.test_models_train import small_run
from tests.support_models import small_model
from tests.support_runs import make_small_pack

Spoil = Callable[[GeoOutput], Any]


class Odd(nn.Module):
    """Black clips are zeros, so the logits are the biases; then `spoil`."""

    def __init__(self, config: ModelConfig, spoil: Spoil = lambda answer: answer) -> None:
        super().__init__()
        self.heads = HierarchyHeads(config.hidden, config.classes)
        self.spoil, self.hidden = spoil, config.hidden

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> Any:
        return self.spoil(GeoOutput(self.heads(clips.float().mean() * torch.ones(len(clips), self.hidden))))


def _city(change: Callable[[Tensor], Any]) -> Spoil:
    return lambda answer: GeoOutput({**answer.logits, "city": change(answer.logits["city"])})


def _fails(_: GeoOutput) -> Any:
    raise KeyError("no such layer")


@pytest.fixture
def registry() -> Iterator[None]:
    """As it was, afterwards."""
    before = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(before)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_answers_what_it_promises_and_is_left_as_it_was(name: str) -> None:
    config = small_model(name)
    model = build_model(name, config)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    drawn = torch.get_rng_state()
    check_answer(model, config, name)
    assert model.training
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


LACKING = [(name, "tla") for name in ("mae", "planet", "isns", "timesformer", "geodecoder")]
LACKING += [(name, "scenes") for name in ("mae", "planet", "isns", "timesformer")]


@pytest.mark.parametrize(("name", "setting"), LACKING)
def test_a_branch_that_a_model_lacks_is_told(name: str, setting: str) -> None:
    config = small_model(name, **{setting: True})
    with pytest.raises(InputError, match=f"network.{setting} is true, and the model {name} has no") as told:
        check_answer(build_model(name, config), config, name)
    assert told.value.hint == f"Give --set network.{setting}=false"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda answer: answer.logits, "does not answer a GeoOutput"),
        (lambda answer: GeoOutput({"city": answer.logits["city"]}), "logits of city, state, country, continent"),
        (_city(lambda x: x[0]), r"logits of city of one clip are torch.float32 \(5,\), not floats \(1, 5\)"),
        (_city(lambda x: x[:, 1:]), r"\(1, 4\), not floats \(1, 5\)"),
        (_city(lambda x: x.argmax(1, keepdim=True)), "torch.int64"),
        (_city(lambda x: x.tolist()), "are list"),
        (lambda answer: dataclasses.replace(answer, text_vector=torch.zeros(1, 7)), "network.tla is false"),
        (_fails, "KeyError: 'no such layer'"),
    ],
)
def test_wrong_answers(spoil: Spoil, said: str) -> None:
    config = small_model("mae")
    check_answer(Odd(config), config, "odd")
    with pytest.raises(InputError, match=said):
        check_answer(Odd(config, spoil), config, "odd")


@pytest.mark.usefixtures("registry")
def test_no_run_is_made_of_a_wrong_model(tmp_path: Path) -> None:
    entry = dataclasses.replace(MODELS["mae"], build=lambda config: Odd(config, _city(lambda x: x[:, 1:])))
    register("odd", entry)
    pack = make_small_pack(tmp_path)
    with pytest.raises(InputError, match="the model odd: logits of city"):
        train(TrainRequest(pack, tmp_path / "run", "v", small_run("odd"), device="cpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("registry")
def test_a_model_that_cannot_be_built_is_told() -> None:
    register("odd", dataclasses.replace(MODELS["mae"], build=lambda config: Odd(config, 1 / 0)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the model odd cannot be built: ZeroDivisionError"):
        build_model("odd", small_model("mae"))
