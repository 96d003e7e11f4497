"""How many parameters a run's network has: beside an accuracy, for models of a table are not of one size."""

from __future__ import annotations

from ..models import MODELS, build_model, parameter_counts
from ..run_dir import RunDir


def n_parameters(run: RunDir) -> int | None:
    """All parameters of the network; None for a model of a plugin that is not loaded."""
    import torch

    if run.config.model not in MODELS:
        return None
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes alone: no memory, no random numbers
        return parameter_counts(build_model(run.config.model, run.model_config))["total"]
