"""Two real processes against one, of models in which not every clip needs every weight, and of features.

Of 15 clips in batches of 7, 7 and 1: slices of 4 and 3, and of 1 and none; a third has no scene label.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cityguessr_bench import checkpoints
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.train.run import TrainRequest, train
from tests.bench.test_distributed import free_port
from tests.bench.test_models_train import small_run
from tests.support_features import feature_config, make_feature_pack, write_clip
from tests.support_runs import make_small_pack, write_split

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("isns", "geodecoder", "frozen", "prototypes")
SCRIPT = """
import json, sys
from pathlib import Path
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.train.run import TrainRequest, train
for data, run, config in json.loads(sys.argv[1]):
    train(TrainRequest(Path(data), Path(run), "u", RunConfig.of(config, "test"), device="cpu"))
"""


def _config(name: str, encoder: Path) -> RunConfig:
    train_for = {"lr": 3e-3, "grad_clip": 1.0}
    if name == "prototypes":
        return feature_config(encoder, name)
    if name == "frozen":
        return feature_config(encoder, name, train={**train_for, "epochs": 3})
    return small_run(name, train={**train_for, "epochs": 3})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NAME-one and NAME-two of every model."""
    folder = tmp_path_factory.mktemp("runs")
    encoder = write_clip(folder / "clip")
    scenes = (True, False, True)
    pixels = make_small_pack(folder / "p", scenes=scenes)
    features = make_feature_pack(folder / "f", encoder, scenes=scenes)
    for path in (pixels, features):
        ids = Pack.open(path).clip_ids
        write_split(path, "u", {clip: "test" if clip[-7] == "2" or clip == ids[0] else "train" for clip in ids})
    todo = []
    for name in MODELS:
        config, data = _config(name, encoder), features if name in ("frozen", "prototypes") else pixels
        train(TrainRequest(data, folder / f"{name}-one", "u", config, device="cpu"))
        todo.append((str(data), str(folder / f"{name}-two"), config.to_dict()))
    (folder / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launch += ["--master_port", str(free_port()), str(folder / "script.py"), json.dumps(todo)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        launch, cwd=ROOT, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_learn_as_one(runs: Path, name: str) -> None:
    one, two = (
        [json.loads(line) for line in (runs / f"{name}-{n}" / "metrics.jsonl").read_text().splitlines()]
        for n in ("one", "two")
    )
    assert len(one) == len(two) >= 2
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        assert all(a[key] == pytest.approx(b[key], abs=1e-4) for key in a if key != "clips_per_s")
    weights = [load_file(checkpoints.weights_of(runs / f"{name}-{n}" / "checkpoints", "last")) for n in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for key, tensor in weights[0].items():
        torch.testing.assert_close(_felt(key, tensor), _felt(key, weights[1][key]), atol=1e-4, rtol=0, msg=key)


def _felt(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Without key biases: softmax takes them out, so their gradient is rounding, and Adam makes steps of it."""
    if name.endswith("in_proj_bias"):
        query, _, value = tensor.chunk(3)
        return torch.cat([query, value])
    return tensor[:0] if name.endswith("k_proj.bias") else tensor
