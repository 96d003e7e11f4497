"""A trained run back as a model, and what it says of clips: log-probabilities at four levels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import InputError, MachineError, WeightsError
from cityguessr_data.core.types import LEVELS, Level

from .checkpoints import weights_of
from .data import need_part, open_pack, read_split, same_data
from .loader import ScoringBatches, batches
from .models import build_model
from .models.hub_folder import read_state
from .models.image_encoders import ImageEncoder, load_image_encoder
from .pack.read import Pack
from .predictions import Predictions
from .run_config import Part, Precision
from .run_dir import RunDir

Which = Literal["last", "best"]
LogProbs = dict[Level, npt.NDArray[np.float32]]
Change = Callable[[Tensor, Sequence[int]], Tensor]
"""uint8 clips (B, T, 3, H, W) and their places in the pack -> clips of the same shape: what the audit does to them."""
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def find_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto`: a GPU where there is one.

    Raises:
        InputError: no such name.
        MachineError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise InputError(f"there is no device {name!r}", "Give auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise MachineError("this machine has no GPU that torch can use", "Give --device cpu")
    return torch.device(name)


def load_model(run: RunDir, which: Which | None = None) -> nn.Module:
    """The run's network with the weights of a checkpoint, float32, on the CPU, in evaluation mode.

    Args:
        which: `last` or `best`; None: what the run's settings report.
    Raises:
        InputError: no checkpoint (yet), no best one, or weights of another network than config.json says.
        WeightsError: a damaged file.
    """
    path = weights_of(run.checkpoints, which or run.config.train.report)
    with torch.random.fork_rng(devices=[]):  # what is drawn is replaced at once
        model = build_model(run.config.model, run.model_config)
    load_weights(model, path)
    return model.eval()


def load_encoder(run: RunDir, device: torch.device | str = "cpu") -> ImageEncoder | None:
    """The frozen encoder whose features the run was trained on; None where it was trained on pixels.

    Raises:
        WeightsError: it is not on this machine, or is not the one that made the features.
    """
    about = run.record.get("data", {}).get("encoder")
    if not about:
        return None
    encoder = load_image_encoder(about["name"], str(device))
    if encoder.digest != about["digest"]:
        raise WeightsError(
            f"{encoder.folder} (digest {encoder.digest}) is not the encoder that {run.folder} was trained with "
            f"({about['name']}, digest {about['digest']})",
            "Put its own files back: the model knows no other features",
        )
    return encoder


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the tensors of a safetensors file into a model.

    Raises:
        InputError: names or shapes differ; with the first that does.
        WeightsError: a damaged file.
    """
    state, wanted = read_state(path), model.state_dict()
    for name in sorted(state.keys() | wanted.keys()):
        has, wants = state.get(name), wanted.get(name)
        if has is None or wants is None or has.shape != wants.shape:
            shapes = [tuple(t.shape) if t is not None else "nothing" for t in (has, wants)]
            what = "is of another taxonomy" if name.startswith("heads.") else "is of another network"
            raise InputError(
                f"the checkpoint {path} {what}: {name} is {shapes[0]}, and the run's settings say {shapes[1]}",
                "Use the checkpoint with the run that it was trained in",
            )
    model.load_state_dict(state)


def log_probs(
    model: nn.Module,
    clips: Iterable[tuple[Tensor, Tensor | None]],
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
) -> LogProbs:
    """What a model says of clips.

    Args:
        model: in evaluation mode; it is moved to `device`.
        clips: batches (B, T, 3, H, W), uint8 or floats in [0, 1], or features (B, T, D); each with the scene labels
            (B, 16) of its clips, None where none is known.
    Returns:
        by level (N, C) float32: logarithms of probabilities that sum to 1.
    """
    device = torch.device(device)
    model.to(device)
    parts: dict[Level, list[Tensor]] = {level: [] for level in LEVELS}
    with torch.inference_mode(), half(device, precision):
        for batch, scenes in clips:
            known = None if scenes is None else scenes.to(device, non_blocking=True)
            logits = model(batch.to(device, non_blocking=True), known).logits
            for level in LEVELS:
                parts[level].append(torch.log_softmax(logits[level].float(), dim=1).cpu())
    return {level: torch.cat(rows).numpy() for level, rows in parts.items()}


def precision_on(run: RunDir, device: torch.device) -> Precision:
    """What to compute in: on a GPU as the run was trained, on a CPU fp32, for few CPUs are faster at less."""
    return "fp32" if device.type == "cpu" else run.config.train.precision


def half(device: torch.device, precision: Precision) -> Any:
    """The context in which a network computes in `precision`."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _TYPES[precision])


def pack_of(run: RunDir, data: Path | None = None, device: str = "auto") -> Pack:
    """The clips that a run is scored on. Whoever scores it more than once opens them once, and names their folder.

    Args:
        data: as for `predict_part`.
        device: where features are made, if any are.
    Raises:
        InputError, WeightsError, DiskFullError: as `data.open_pack`; the run's own data are gone.
    """
    if data is None and not run.data_folder.is_dir():
        raise InputError(f"the data of {run.folder} is no longer at {run.data_folder}", "Say where it is: --data PACK")
    return open_pack(data or run.data_folder, run.config.data, device=device)


def predict_part(
    run: RunDir,
    part: Part = "test",
    data: Path | None = None,
    *,
    which: Which | None = None,
    device: str = "auto",
    workers: int = 0,
    batch: int | None = None,
    change: Change | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Score a part of the run's split.

    Args:
        data: a pack or an output directory, where the run's own has moved, or another one with the same cities; None:
            the run's own.
        which: as `load_model`.
        batch: clips at a time; None: as in training.
        change: what is done to the clips before the model sees them.
        on_batch: called with (clips done, clips in all).
    Raises:
        InputError: no such data, part or checkpoint; another split than in training; a clip of a city that the run
            does not know.
        MachineError: no such device.
    """
    where = find_device(device)
    model = load_model(run, which)
    pack = pack_of(run, data, device)
    if change is not None and pack.config.encoder:
        raise InputError(f"{run.folder} is of cached features: there are no pixels to change", "Name a run of frames")
    split = read_split(pack, run.split)
    known: Mapping[str, Any] = run.record
    if same_data(run, pack) and split.digest != known["split"]["digest"]:
        raise InputError(
            f"the split {split.name} has changed since the run was trained: test clips may have been in train",
            "Train again, or put the split back",
        )
    places = need_part(split, part)
    truth = run.classes.labels(pack.index.take(places))
    train = run.config.train
    scoring = ScoringBatches(pack, places, run.config.data, batch or train.batch, train.seed)

    def clips() -> Iterable[tuple[Tensor, Tensor]]:
        done = 0
        for found in batches(scoring, range(len(scoring)), workers, pin=where.type == "cuda"):
            yield (found.clips if change is None else change(found.clips, found.places.tolist())), found.scenes
            done += len(found.clips)
            if on_batch is not None:
                on_batch(done, len(places))

    scores = log_probs(model, clips(), where, precision_on(run, where))
    rows = pack.index.take(places)
    return Predictions(
        clip_ids=tuple(rows["clip_id"].to_pylist()),
        video_ids=tuple(rows["video_id"].to_pylist()),
        channels=tuple(rows["channel"].to_pylist()),
        truth={level: np.ascontiguousarray(truth[:, at]) for at, level in enumerate(LEVELS)},
        log_probs=scores,
    )
