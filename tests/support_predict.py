"""A run with random weights that knows six cities, and films whose colours change: for the tests of `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from cityguessr_bench.checkpoints import Progress, save
from cityguessr_bench.classes import Classes
from cityguessr_bench.models import build_model
from cityguessr_bench.run_config import DataConfig, NetworkConfig, RunConfig, TrainConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_data.core.taxonomy import Taxonomy
from tests.support_video import numbered_frame, write_frames

CITIES = ("Tokyo", "Osaka", "London", "Manchester", "Brisbane", "Nairobi")
DATA = DataConfig(frames=4, stored_frames=8, size_px=48)


def classes_of(cities: Sequence[str] = CITIES) -> Classes:
    """The classes of cities of the shipped taxonomy."""
    places = [Taxonomy.named("cityguessr166").place(city) for city in cities]
    columns = {level: [getattr(p, level) for p in places] for level in ("city", "state", "country", "continent")}
    return Classes.of_clips(pa.table({"clip_id": list(cities), **columns}))


def random_run(folder: Path, data: DataConfig = DATA) -> RunDir:
    """A run that was never trained; its heads are made loud, so that clips differ."""
    classes = classes_of()
    network = NetworkConfig(weights="random", hidden=12, layers=1, heads=2, tla=False, scenes=False)
    config = RunConfig(data=data, network=network, train=TrainConfig(batch=3))
    model_config = config.model_config(classes.sizes, 7, scenes=False)
    run = RunDir.create(folder, config, model_config, classes, {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = build_model(config.model, model_config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("heads."):
                weight.mul_(12)
    save(run.checkpoints, Progress(1, 1), model.state_dict(), {})
    return run


def film(path: Path, n: int, *, size: tuple[int, int] = (96, 48), fps: float = 30) -> Path:
    """Numbered frames whose lower right corner goes from blue to yellow."""

    def frame(i: int) -> np.ndarray:
        rgb = numbered_frame(i, *size)
        rgb[size[1] // 2 :, size[0] // 2 :] = (255 * i // n, 255 * i // n, 255 - 255 * i // n)
        return rgb

    return write_frames(path, (frame(i) for i in range(n)), fps=fps)
