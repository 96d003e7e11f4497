"""What L_scene compares with in training: soft or majority, of 16 or 365 classes, computed again by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from cityguessr_bench.data import read_split
from cityguessr_bench.inference import load_model
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from tests.support_runs import make_small_pack, small_config


@pytest.mark.parametrize("n_scenes", [16, 365])
@pytest.mark.parametrize("target", ["soft", "majority"])
def test_the_scene_loss_of_the_first_step(tmp_path: Path, n_scenes: int, target: str) -> None:
    folder = make_small_pack(tmp_path, scenes=(True, True, False))
    still = {"epochs": 1, "batch": 16, "lr": 1e-12, "augment": "none", "scene_target": target}
    config = small_config(network={"n_scenes": n_scenes}, train={**still, "watch": "none", "report": "last"})
    train(TrainRequest(folder, tmp_path / "run", "v", config, device="cpu"))
    run, pack = RunDir.open(tmp_path / "run"), Pack.open(folder)
    places = read_split(pack, "v").parts["train"]
    with torch.no_grad():
        clips = torch.from_numpy(np.stack([pack.clip(int(place)) for place in places]))
        logits = load_model(run)(clips).scene_logits.double().numpy()
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    frames = pq.read_table(tmp_path / "out" / "manifests" / "frames.parquet").to_pylist()
    rows = {row["clip_id"]: row for row in pq.read_table(tmp_path / "out" / "manifests" / "clips.parquet").to_pylist()}
    losses = []
    for place, row in zip(places, log_probs, strict=True):
        clip_id = pack.clip_ids[place]
        if rows[clip_id]["scene_soft"] is None:
            continue
        if n_scenes == 16:
            shares = dict(enumerate(rows[clip_id]["scene_soft"]))
        else:
            seen = [frame["scene_top1"] for frame in frames if frame["clip_id"] == clip_id]
            shares = {k: n / len(seen) for k, n in Counter(seen).items()}
        if target == "majority":
            shares = {min(k for k in shares if shares[k] == max(shares.values())): 1.0}
        losses.append(-sum(share * row[k] for k, share in shares.items()))
    assert 0 < len(losses) < len(places)
    logged = json.loads((run.folder / "metrics.jsonl").read_text().splitlines()[0])["scene"]
    assert logged == pytest.approx(np.mean(losses), abs=1e-4)
    assert run.model_config.n_scenes == n_scenes
