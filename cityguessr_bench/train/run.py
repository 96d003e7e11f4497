"""One call trains what was asked for: one run, or one a fold; new, or from where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

from cityguessr_data.core.errors import InputError

from ..checkpoints import Progress, last, read_progress
from ..data import fold_names, open_pack, read_split
from ..pack.read import Pack
from ..run_config import RANDOM, Precision, RunConfig
from ..run_dir import fold_folders
from .log import Listener, Silent
from .loop import fit
from .one_pass import fit_once, is_one_pass
from .setup import begin, check_input, go_on

_MIXED = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_BEFORE_CONFIG = {"taxonomy.parquet", "text_targets.npy"}
"""What a run may hold that was killed before its config.json."""


@dataclass(frozen=True)
class TrainRequest:
    """What `cgtool bench train` was asked for."""

    data: Path
    """A pack or an output directory."""
    run: Path
    split: str | Path
    """A name, or the path of a Parquet file."""
    config: RunConfig
    resume: bool = False
    device: str = "auto"
    workers: int | None = None
    """Threads that read clips ahead; None: 4 for a GPU, else 0."""


@dataclass(frozen=True)
class Trained:
    """One run at its end."""

    folder: Path
    split: str
    n_steps: int
    n_epochs: int
    best_top1: float | None
    """City top-1 on the watched part; None where nothing was watched."""
    best_epoch: int | None
    was_finished: bool
    """Nothing was left to do."""


def train(request: TrainRequest, listener: Listener | None = None) -> tuple[Trained, ...]:
    """Train, or go on with, the run or runs of a request. Under `torchrun` every process calls this.

    Raises:
        InputError: data, split, settings or RUN are not fit.
        MachineError: no such device, no weights, out of memory.
        StopError: a loss that is no number, or a full disk.
        KeyboardInterrupt: Ctrl-C or SIGTERM; a checkpoint was saved, and `resume` goes on.
    """
    check_input(request.config)
    accelerator = make_accelerator(request.device, request.config.train.precision)
    listener = listener if listener is not None and accelerator.is_main_process else Silent()
    if accelerator.is_main_process:
        _check_folder(request)
        if not (request.run / "config.json").is_file():
            _check_weights(request.config)
        _check_unpacked(request, accelerator.num_processes)
    with accelerator.main_process_first():  # it may have to pack
        pack = open_pack(request.data, request.config.data, listener.said, device=request.device)
    names = fold_names(pack, request.split)
    single = names == (str(request.split),)
    if accelerator.is_main_process and request.resume:
        _check_kind(request.run, single)
    folders = [request.run] if single else [request.run / f"fold{fold}" for fold in range(len(names))]
    done = []
    for folder, name in zip(folders, names, strict=True):
        one = replace(request, run=folder, split=request.split if single else name)
        done.append(_train_one(one, pack, accelerator, listener))
    return tuple(done)


def make_accelerator(device: str, precision: Precision) -> Accelerator:
    """One process, or what torchrun set up.

    Raises:
        InputError: no such device; fp16 without a GPU.
        MachineError: no GPU on this machine.
    """
    from ..inference import find_device

    where = find_device(device)
    if where.index is not None:
        raise InputError(f"--device {device} names one GPU", "Give --device cuda, and choose by CUDA_VISIBLE_DEVICES")
    if precision == "fp16" and where.type == "cpu":
        raise InputError("train.precision=fp16 needs a GPU", "Give --set train.precision=fp32 or bf16")
    # accelerate keeps its choices for the whole process, and an earlier run here may have made others
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    exchange = DistributedDataParallelKwargs(broadcast_buffers=False)  # they are tables that never change
    return Accelerator(mixed_precision=_MIXED[precision], cpu=where.type == "cpu", kwargs_handlers=[exchange])


def _train_one(request: TrainRequest, pack: Pack, accelerator: Accelerator, listener: Listener) -> Trained:
    split = read_split(pack, request.split)
    config = request.config
    goes_on = request.resume and (request.run / "config.json").is_file()
    accelerator.wait_for_everyone()  # before the main process makes the folder that others look for
    if goes_on or not accelerator.is_main_process:
        if not goes_on:
            accelerator.wait_for_everyone()
        job = go_on(request.run, pack, split, config, listener.said)
    else:
        job = begin(request.run, pack, split, config, listener.said)
        accelerator.wait_for_everyone()
    newest = last(job.run.checkpoints)
    before = read_progress(newest) if newest is not None else Progress()
    finished = before.epochs >= config.train.epochs
    workers = request.workers if request.workers is not None else 4 if accelerator.device.type == "cuda" else 0
    fit_run = fit_once if is_one_pass(job.model) else fit
    after = before if finished else fit_run(job, accelerator, listener, workers)
    accelerator.wait_for_everyone()
    accelerator.free_memory()
    return Trained(request.run, split.name, after.step, after.epochs, after.best_top1, after.best_epoch, finished)


def _check_folder(request: TrainRequest) -> None:
    """A folder that holds anything is gone on with, or refused."""
    run = request.run
    if run.exists() and not run.is_dir():
        raise InputError(f"{run} is a file", "Name a folder with --run")
    if not run.is_dir() or not any(run.iterdir()):
        return
    if not request.resume:
        raise InputError(f"{run} is not empty", "Add --resume to go on with it, or name another --run")
    names = {path.name for path in run.iterdir() if not path.name.endswith(".partial")}
    if not (run / "config.json").is_file() and not fold_folders(run) and not names <= _BEFORE_CONFIG | {"fold0"}:
        raise InputError(f"{run} is no run (it has no config.json)", "Name another --run")


def _check_weights(config: RunConfig) -> None:
    """Look for what a new run will load before hours go into a pack."""
    from ..models.hub_folder import find_folder
    from ..models.text_encoders import load_text_encoder

    if config.network.tla:
        load_text_encoder(config.text.encoder)
    if config.network.weights != RANDOM:
        find_folder(config.network.weights)


def _check_unpacked(request: TrainRequest, n_processes: int) -> None:
    """Of an output directory: look for its split before it is packed, and pack only where nobody waits meanwhile."""
    splits = request.data / "splits"
    if (request.data / "pack.json").is_file() or not (request.data / "manifests").is_dir():
        return
    if n_processes > 1:  # the others would wait for one, and the exchange between them gives up after minutes
        raise InputError(f"{request.data} is not packed", "Run cgtool bench pack first, and name the pack")
    names = (str(request.split), f"{request.split}.parquet", f"{request.split}-fold0.parquet")
    if not Path(request.split).is_file() and not any((splits / name).is_file() for name in names):
        known = ", ".join(sorted(path.stem for path in splits.glob("*.parquet"))) or "none"
        raise InputError(f"{request.data} has no split {request.split}; it has {known}", "Make it with cgtool split")


def _check_kind(run: Path, single: bool) -> None:
    if single and fold_folders(run):
        raise InputError(f"{run} holds a run of each fold, not one run", "Name another --run, or the folds' split")
    if not single and (run / "config.json").is_file():
        raise InputError(f"{run} holds one run, not one of each fold", "Name another --run")
