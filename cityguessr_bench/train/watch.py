"""City, state, country and continent top-1 on the watched part, the clips shared by all processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import nn

from cityguessr_data.core.types import LEVELS

from ..data import Places
from ..loader import ScoringBatches, batches
from ..pack.read import Pack
from ..run_config import RunConfig


def top1(
    model: nn.Module,
    pack: Pack,
    places: Places,
    config: RunConfig,
    accelerator: Accelerator,
    workers: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Accuracy of every head by itself (mode `none`), by level; None where `stop` said so in between.

    Args:
        model: the network itself, not what exchanges gradients: processes may have unequal numbers of batches.
    """
    scoring = ScoringBatches(pack, places, config.data, config.train.batch, config.train.seed)
    mine = range(accelerator.process_index, len(scoring), accelerator.num_processes)
    device = accelerator.device
    right = torch.zeros(len(LEVELS) + 1, dtype=torch.float64, device=device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), accelerator.autocast():
            for found in batches(scoring, mine, workers, pin=device.type == "cuda"):
                if stop():
                    right[-1] = 1
                    break
                clips, scenes = (t.to(device, non_blocking=True) for t in (found.clips, found.scenes))
                logits = model(clips, scenes).logits
                labels = found.labels.to(device, non_blocking=True)
                for at, level in enumerate(LEVELS):
                    right[at] += (logits[level].argmax(dim=1) == labels[:, at]).sum()
    finally:
        model.train(was_training)
    counts = accelerator.reduce(right, "sum").tolist()
    if counts[-1]:
        return None
    return {level: counts[at] / len(places) for at, level in enumerate(LEVELS)}
