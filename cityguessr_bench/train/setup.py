"""From a pack, a split and settings to all that the loop needs: a run's folder, its network, its text targets."""

from __future__ import annotations

import dataclasses
import io
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.errors import InputError

from ..checkpoints import last
from ..data import Split, cities_without_train, need_part, same_data
from ..inference import load_weights
from ..loader import scene_targets
from ..models import build_model, find_model
from ..models.config import ModelConfig
from ..pack.read import Pack
from ..run_config import RANDOM, RunConfig, TextConfig
from ..run_dir import RunDir
from ..text_targets import Vectors, text_targets
from .answers import check_answer

Say = Callable[[str], None]
_PACKAGES = ("cgtool", "torch", "transformers", "accelerate", "numpy")
_LISTED = 5


@dataclass(frozen=True, eq=False)
class Job:
    """One run, ready to be trained."""

    run: RunDir
    pack: Pack
    split: Split
    model: nn.Module
    """Float32, on the CPU; with the last checkpoint's weights where there is one."""
    text: Tensor | None
    """(cities, d_t) F_t; None without TextLabel Alignment."""


def begin(folder: Path, pack: Pack, split: Split, config: RunConfig, say: Say) -> Job:
    """Make a new run in `folder`.

    Raises:
        InputError: parts that are missing, settings that do not fit data, checkpoint or model, or a model that answers
            something else than it should.
        WeightsError: no weights of the backbone or of the text encoder on this machine.
    """
    _check_parts(split, config)
    _tell_gaps(pack, split, say)
    scenes = _scenes(pack, split, config, say)
    text, about_text = _text(pack, config.text) if config.network.tla else (None, None)
    d_t = ModelConfig(1, 1, 1, 1).d_t if text is None else text.shape[1]
    widths = config.model_config(pack.classes.sizes, d_t, scenes=bool(scenes["on"]))
    widths = dataclasses.replace(widths, feature_dim=pack.config.feature_dim)
    model_config, model = build(config, widths, say)
    _check_epochs(model, config)
    check_answer(model, model_config, config.model)
    record = {
        "data": {
            "folder": str(pack.folder.resolve()),
            "name": pack.name,
            "fingerprint": pack.fingerprint,
            "pixels": pack.pixels,
            "n_clips": len(pack),
            "clip_rule": pack.clip_rule,
            "encoder": _encoder(pack),
        },
        "split": {
            "name": split.name,
            "file": str(split.file.resolve()) if split.file else None,
            "digest": split.digest,
            "parts": {part: len(places) for part, places in split.parts.items()},
        },
        "text": about_text,
        "scenes": scenes,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
    }
    if text is not None:
        content = io.BytesIO()
        np.save(content, text, allow_pickle=False)
        write_bytes(folder / "text_targets.npy", content.getvalue())
    run = RunDir.create(folder, config, model_config, pack.classes, record)
    return Job(run, pack, split, model, None if text is None else torch.from_numpy(text))


def go_on(folder: Path, pack: Pack, split: Split, config: RunConfig, say: Say) -> Job:
    """Take up the run in `folder`, which must be of the same settings and data.

    Raises:
        InputError: another run, with the first settings that differ; a damaged one.
        WeightsError: a checkpoint that cannot be read.
    """
    run = RunDir.open(folder)
    check_same(run, pack, split, config)
    _check_parts(split, config)
    newest = last(run.checkpoints)
    if newest is None:  # stopped before its first checkpoint
        _, model = build(config, run.model_config, say)
    else:
        model = _built(config, run.model_config)
        load_weights(model, newest / "weights.safetensors")
    return Job(run, pack, split, model, _kept_text(run) if run.model_config.tla else None)


def build(config: RunConfig, widths: ModelConfig, say: Say = lambda _: None) -> tuple[ModelConfig, nn.Module]:
    """The network at the start of training, by the run's seed, and its settings.

    A checkpoint's geometry has the last word; where the settings say otherwise, that is told.

    Raises:
        InputError: a checkpoint of other frames or another frame size than the data.
        WeightsError: no such checkpoint, or one that does not fit.
    """
    if config.network.weights == RANDOM:
        return widths, _built(config, widths)
    entry, source = find_model(config.model), config.network.weights
    if entry.adopt is None or entry.load is None:
        raise InputError(f"the model {config.model} starts from no checkpoint", "Give --set network.weights=random")
    adopted = entry.adopt(source, widths)
    if (adopted.frames, adopted.size_px) != (widths.frames, widths.size_px):
        raise InputError(
            f"{source} takes {adopted.frames} frames of {adopted.size_px} px, and the data is of {widths.frames} of "
            f"{widths.size_px} px",
            f"Pack and train with --set data.frames={adopted.frames} --set data.stored_frames={adopted.frames} "
            f"--set data.size_px={adopted.size_px}, or with --set network.weights=random",
        )
    if told := [f"{name} {new} (set: {old})" for name, old, new in _changes(_flat(widths), _flat(adopted))]:
        say(f"the checkpoint's geometry is taken: {', '.join(told)}")
    model = _built(config, adopted)
    entry.load(model, source, adopted)
    return adopted, model


def check_input(config: RunConfig) -> None:
    """Raise unless a run's model takes what its settings give it, pixels or features.

    Raises:
        InputError: which settings do not fit.
    """
    takes, features = find_model(config.model).takes, config.data.features
    if takes == "features" and not features:
        raise InputError(f"the model {config.model} takes cached features", "Give --set data.features=clip, or another")
    if takes == "frames" and features:
        raise InputError(
            f"the model {config.model} takes frames, and data.features is {features}",
            "Leave data.features out, or give a model that takes features",
        )
    if features and config.train.augment != "none":
        raise InputError(
            f"train.augment={config.train.augment} changes pixels, and the run is of features",
            "Give --set train.augment=none",
        )


def check_same(run: RunDir, pack: Pack, split: Split, config: RunConfig) -> None:
    """Raise unless a run is of these settings, this data and this split.

    Raises:
        InputError: which settings differ, or what of the data.
    """
    hint = "Name another --run, or give what this run was made with"
    differing = [f"{name}={old}, not {new}" for name, old, new in _changes(_flat(run.config), _flat(config))]
    if differing:
        more = f" (and {len(differing) - _LISTED} more)" if len(differing) > _LISTED else ""
        raise InputError(f"{run.folder} was made with {'; '.join(differing[:_LISTED])}{more}", hint)
    if run.classes.digest != pack.classes.digest:
        raise InputError(f"{run.folder} was made with other classes than {pack.folder} has", hint)
    if not same_data(run, pack):
        raise InputError(f"{run.folder} was made with other data than {pack.folder}", hint)
    if run.record["split"]["digest"] != split.digest:
        raise InputError(f"{run.folder} was made with another split than {split.name} is now", hint)


def _built(config: RunConfig, model_config: ModelConfig) -> nn.Module:
    """Random weights by the run's seed; nobody else's random numbers are touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        return build_model(config.model, model_config)


def _check_epochs(model: nn.Module, config: RunConfig) -> None:
    if hasattr(model, "fit_pass") and config.train.epochs != 1:
        raise InputError(
            f"train.epochs is {config.train.epochs}, and the model {config.model} is fitted in one pass",
            "Give --set train.epochs=1",
        )


def _encoder(pack: Pack) -> dict[str, Any] | None:
    """Whose features the pack holds: what `predict` needs to make such of a video."""
    config = pack.config
    if not config.encoder:
        return None
    return {"name": config.encoder, "digest": config.encoder_digest, "size_px": config.size_px}


def _check_parts(split: Split, config: RunConfig) -> None:
    need_part(split, "train")
    if config.train.watch != "none":
        need_part(split, config.train.watch)


def _tell_gaps(pack: Pack, split: Split, say: Say) -> None:
    if names := cities_without_train(pack, split.parts):
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        say(f"no clip to train on: {', '.join(names[:_LISTED])}{more}; these cities cannot be learnt")


def _scenes(pack: Pack, split: Split, config: RunConfig, say: Say) -> dict[str, Any]:
    """Whether the scene branch is on, and why; how many clips to train on have no label."""
    if not config.network.scenes:
        return {"on": False, "why": "network.scenes is false", "n_without": _unlabelled(pack, split, config, say)}
    known = ~np.isnan(scene_targets(pack, config.network.n_scenes, config.train.scene_target)[:, 0])
    mine = known[split.parts["train"]]
    n_without = int((~mine).sum())
    if not mine.any():
        why = "no clip of the data has scene labels" if not known.any() else "no clip to train on has scene labels"
        say(f"scenes off: {why}")
        return {"on": False, "why": why, "n_without": n_without}
    if n_without:
        say(f"{n_without} of {len(mine)} clips to train on have no scene label and do not count in L_scene")
    return {"on": True, "why": "", "n_without": n_without}


def _unlabelled(pack: Pack, split: Split, config: RunConfig, say: Say) -> int | None:
    """Clips to train on without a label that the model looks at; None where it looks at none."""
    if not find_model(config.model).needs_scenes:
        return None
    mine = pack.has_scenes[split.parts["train"]]
    n_without = int((~mine).sum())
    if n_without:
        say(
            f"{n_without} of {len(mine)} clips to train on have no scene label, and {config.model} takes each as of "
            "every scene; cgtool label-scenes OUT, then cgtool bench pack again, gives them one"
        )
    return n_without


def _text(pack: Pack, config: TextConfig) -> tuple[Vectors, dict[str, Any]]:
    from ..models.text_encoders import load_text_encoder

    encoder = load_text_encoder(config.encoder)
    targets = text_targets(pack.classes, encoder, config.strategy)
    return targets, {"encoder": config.encoder, "digest": encoder.digest}


def _kept_text(run: RunDir) -> Tensor:
    path, wanted = run.text_targets_path, (run.classes.sizes["city"], run.model_config.d_t)
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as exc:
        raise InputError(f"{path} cannot be read ({exc})", "Train again into another folder") from exc
    if found.shape != wanted or found.dtype != np.float32:
        raise InputError(f"{path} is {found.dtype} {found.shape}, not float32 {wanted}", "Put the run's own file back")
    return torch.from_numpy(found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout
        return "not installed"


def _flat(value: Any) -> dict[str, Any]:
    """Settings by their full names: {"model": .., "train.lr": ..}."""
    found: dict[str, Any] = {}
    for name, inner in dataclasses.asdict(value).items():
        found |= {f"{name}.{key}": v for key, v in inner.items()} if isinstance(inner, dict) else {name: inner}
    return found


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    return ((name, old[name], new[name]) for name in old if old[name] != new[name])
