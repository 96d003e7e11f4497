"""Two real processes (torchrun, gloo on loopback) against one with the same global batch; the shares by hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cityguessr_bench import checkpoints
from cityguessr_bench.data import read_split
from cityguessr_bench.losses import Targets, total_loss
from cityguessr_bench.models import build_model
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.train.distributed import Slice
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_bench.train.setup import begin
from cityguessr_data.core.types import LEVELS
from tests.bench.test_train import Encoder
from tests.support_models import random_clips, random_targets
from tests.support_models import small_config as small_model
from tests.support_runs import make_small_pack, small_assignments, small_config, write_split

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from cgtool.app import app
for args in json.loads(sys.argv[1]):
    try:
        app(args)
    except SystemExit as ended:
        assert not ended.code, ended.code
"""
REDUCTIONS = ("mean", "sum")
SETTINGS: dict[str, dict[str, Any]] = {"network": {"tla": True}, "train": {"epochs": 3, "grad_clip": 1.0}}


def _sections(reduction: str) -> dict[str, dict[str, Any]]:
    return {**SETTINGS, "train": {**SETTINGS["train"], "tla_reduction": reduction}}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `one-mean`, `two-mean`, `one-sum`, `two-sum`: of 15 clips in batches of 7, 7 and 1, so slices of 4 and 3,
    and of 1 and none. A third of the clips has no scene label."""
    folder = tmp_path_factory.mktemp("two")
    pack_folder = make_small_pack(folder, scenes=(True, False, True, True))
    pack = Pack.open(pack_folder)
    parts = {clip: "test" if clip[-7] == "2" else "train" for clip in pack.clip_ids}
    write_split(pack_folder, "u", {**parts, pack.clip_ids[0]: "test"})
    commands = []
    for reduction in REDUCTIONS:
        config = small_config(**_sections(reduction))
        one, other = folder / f"one-{reduction}", folder / f"two-{reduction}"
        _begin(one, pack, config)
        shutil.copytree(one, other)
        train(TrainRequest(pack_folder, one, "u", config, resume=True, device="cpu"))
        words = [str(pack_folder), "--run", str(other), "--split", "u", "--resume", "--device", "cpu"]
        commands.append(["bench", "train", *words, *small_assignments(**_sections(reduction))])
    (folder / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launch += ["--master_port", str(free_port()), str(folder / "script.py"), json.dumps(commands)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        launch, cwd=ROOT, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "stdout").write_text(done.stdout)
    return folder


def _begin(run: Path, pack: Pack, config: RunConfig) -> None:
    """Make the run, with text targets of a stub, so that taking it up needs no encoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cityguessr_bench.models.text_encoders.load_text_encoder", lambda _: Encoder())
        begin(run, pack, read_split(pack, "u"), config, lambda _: None)


def _lines(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "clips_per_s"} for line in lines]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_two_processes_lose_and_learn_as_one(two: Path, reduction: str) -> None:
    one, other = _lines(two / f"one-{reduction}"), _lines(two / f"two-{reduction}")
    assert [line["step"] for line in one] == [1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9]
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    weights = [
        load_file(checkpoints.weights_of(two / f"{which}-{reduction}" / "checkpoints", "last"))
        for which in ("one", "two")
    ]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-4, rtol=0, msg=name)


def test_the_two_reductions_are_two_runs(two: Path) -> None:
    mean, total = _lines(two / "one-mean")[0], _lines(two / "one-sum")[0]
    assert total["tla"] == pytest.approx(7 * mean["tla"], abs=1e-5)


def test_only_the_first_process_speaks(two: Path) -> None:
    said = " ".join((two / "stdout").read_text().split())  # a long path wraps its line
    assert said.count("cgtool bench evaluate") == 2 and said.count("trained, 3 epochs") == 2


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("n", "n_processes"), [(7, 2), (8, 2), (7, 3), (2, 3), (1, 4), (6, 1)])
def test_averaged_shares_are_the_whole(n: int, n_processes: int, reduction: Any) -> None:
    """Losses and gradients of P processes, one after the other here, averaged; with clips that lack scene labels."""
    config = small_model(d_t=7)
    model = build_model("cityguessr", config)
    clips, targets = random_clips(config, n), random_targets(config, n)
    has = np.arange(n) % 3 != 1
    assert targets.scenes is not None and targets.text is not None

    def losses(rows: Any, **more: Any) -> Any:
        part = Targets(
            {level: targets.labels[level][rows] for level in LEVELS},
            targets.scenes[rows],
            torch.from_numpy(has)[rows],
            targets.text[rows],
        )
        return total_loss(model(clips[rows]), part, tla_reduction=reduction, **more)

    whole = losses(slice(None))
    expected = torch.autograd.grad(whole.total, list(model.parameters()))
    places = np.arange(n)
    sums: dict[str, float] = {}
    gradients = [torch.zeros_like(p) for p in model.parameters()]
    for rank in range(n_processes):
        mine = Slice.of(places, int(has.sum()), rank, n_processes)
        rows = np.array_split(places, n_processes)[rank]
        more = {"scene_count": mine.scene_count, "n_processes": n_processes}
        parts = mine.weighted(losses(rows if len(rows) else places[:1], **more), reduction)
        for name, value in parts.by_name().items():
            sums[name] = sums.get(name, 0) + value.item() / n_processes
        for total, g in zip(gradients, torch.autograd.grad(parts.total, list(model.parameters())), strict=True):
            total += g / n_processes
    assert sums == pytest.approx({name: value.item() for name, value in whole.by_name().items()}, abs=1e-5)
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def free_port() -> int:
    """Of the loopback."""
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
