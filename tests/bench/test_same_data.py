"""Scene labels that change after a run was trained: they part it from its data only where its model looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_bench.data import make_pack, same_data
from cityguessr_bench.inference import predict_part
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.errors import InputError
from tests.support_runs import SMALL, make_small_pack


def _config(model: str) -> RunConfig:
    one_frame: dict[str, Any] = {"frames": 1, "stored_frames": 4, "size_px": 16}
    data = one_frame if settings("tiny", model).data.frames == 1 else SMALL["data"]
    small = {**SMALL, "data": data, "train": {**SMALL["train"], "epochs": 1}}
    return settings("tiny", model).changed(small, "the test").changed({"network": {"tla": False}}, "the test")


@pytest.mark.parametrize(
    ("model", "looks"), [("cityguessr", True), ("isns", True), ("videomae", False), ("mae", False)]
)
def test_new_scene_labels_are_other_data_to_whom_looks_at_them(tmp_path: Path, model: str, looks: bool) -> None:
    folder, config = make_small_pack(tmp_path, scenes=(True,)), _config(model)
    request = TrainRequest(folder, tmp_path / "run", "v", config, device="cpu")
    train(request)
    run = RunDir.open(tmp_path / "run")
    assert same_data(run, Pack.open(folder))
    path = tmp_path / "out" / "manifests" / "clips.parquet"
    clips = pq.read_table(path)
    at = clips.column_names.index("scene_soft")
    other = pa.array([[1.0, *[0.0] * 15]] * clips.num_rows, pa.list_(pa.float32()))
    pq.write_table(clips.set_column(at, clips.schema.field(at), other), path)
    make_pack(tmp_path / "out", folder, config.data.pack)
    assert same_data(run, Pack.open(folder)) == (not looks)
    again = TrainRequest(folder, tmp_path / "run", "v", config, resume=True, device="cpu")
    if looks:
        with pytest.raises(InputError, match="was made with other data"):
            train(again)
    else:
        (done,) = train(again)
        assert done.was_finished
        assert len(predict_part(run, "test", device="cpu")) == 8
