"""The real training loop, a stretch at a time: its loader, its step, its log; no epoch ends and nothing is saved."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from cityguessr_data.core.errors import InputError

from ..data import Split
from ..inference import log_probs, precision_on
from ..loader import ScoringBatches, batches
from ..models.config import ModelConfig
from ..pack.read import Pack
from ..run_config import RANDOM, RunConfig
from ..run_dir import RunDir
from ..train.answers import check_answer
from ..train.interrupt import Interrupts
from ..train.log import Silent
from ..train.loop import Trainer
from ..train.one_pass import is_one_pass
from ..train.setup import Job, build, check_input
from ..train.to_device import on_device
from .operations import counted
from .stretch import Stretch, Waiting

_HARMLESS = {"epochs": 1_000_000, "lr": 1e-6, "watch": "none", "report": "last"}
"""No end in sight, and steps so small that no loss becomes infinite, whatever the data."""


def make_job(folder: Path, config: RunConfig, pack: Pack) -> Job:
    """A run that trains every clip of a pack from random weights.

    Vectors of texts are drawn too, where the network has TextLabel Alignment: neither changes the time of a step.

    Args:
        folder: new or empty; a run's files come there.
    Raises:
        InputError: settings that fit no model or not the data, or a model that is not trained by steps.
    """
    check_input(config)
    config = config.changed({"train": _HARMLESS, "network": {"weights": RANDOM}}, "the measurement")
    places = np.arange(len(pack), dtype=np.int64)
    scenes = bool(pack.has_scenes.any())
    d_t = ModelConfig(1, 1, 1, 1).d_t
    widths = config.model_config(pack.classes.sizes, d_t, scenes=scenes)
    widths = dataclasses.replace(widths, feature_dim=pack.config.feature_dim)
    model_config, model = build(config, widths)
    if is_one_pass(model):
        raise InputError(f"the model {config.model} is fitted without training steps", "Measure another --model")
    check_answer(model, model_config, config.model)
    text = None
    if model_config.tla:
        text = torch.randn(pack.classes.sizes["city"], d_t, generator=torch.Generator().manual_seed(0))
    run = RunDir.create(folder, config, model_config, pack.classes, {})
    return Job(run, pack, Split("all", "", {"train": places}), model, text)


class Ours:
    """Trains a job. Used as a context manager, which closes the log and hears Ctrl-C."""

    def __init__(self, job: Job, accelerator: Accelerator, workers: int) -> None:
        self.job, self.accelerator = job, accelerator
        self._trainer = Trainer(job, accelerator, Silent(), workers)
        self._interrupts = Interrupts()
        self._waiting = Waiting()
        self._batches = on_device(self._waiting.timed(self._trainer.read_batches()), accelerator.device)

    def __enter__(self) -> Self:
        self._interrupts.__enter__()
        self._trainer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._trainer.__exit__(kind, error, trace)
        self._interrupts.__exit__(kind, error, trace)

    def advance(self, n_steps: int = 1, seconds: float = 0.0) -> Stretch:
        """Train for so many steps and seconds at least.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM, after the step that was under way.
            MachineError: out of memory.
            InputError: a damaged shard.
        """
        trainer, waited_s, start = self._trainer, self._waiting.seconds, time.perf_counter()
        done = n_clips = unread = 0
        while done < n_steps or time.perf_counter() - start < seconds:
            batch = next(self._batches)
            trainer.step(batch)
            done, n_clips, unread = done + 1, n_clips + len(batch.places), unread + 1
            if unread == trainer.read_every:
                self._look()
                unread = 0
        if unread:
            self._look()
        return Stretch(done, n_clips, time.perf_counter() - start, self._waiting.seconds - waited_s)

    def _look(self) -> None:
        """As the loop looks at its losses; a GPU has then done every step."""
        if self._trainer.read(self._interrupts):
            raise KeyboardInterrupt


class Scoring:
    """What `evaluate` does to clips: the pack's from the first on, over and over, with a network of its own."""

    def __init__(self, job: Job, device: torch.device, workers: int) -> None:
        self.job, self.device, self.workers = job, device, workers
        _, model = build(job.run.config, job.run.model_config)
        self.model = model.to(device).eval()

    def advance(self, n_batches: int = 1, seconds: float = 0.0) -> Stretch:
        """Score so many batches, for so many seconds at least.

        Raises:
            InputError: a damaged shard.
        """
        pack, config = self.job.pack, self.job.run.config
        source = ScoringBatches(pack, np.arange(len(pack), dtype=np.int64), config.data, config.train.batch)
        pin = self.device.type == "cuda"
        loaded = batches(source, itertools.cycle(range(len(source))), self.workers, pin=pin)
        waiting, start, done, n_clips = Waiting(), time.perf_counter(), 0, 0

        def clips() -> Iterator[tuple[Tensor, Tensor]]:
            nonlocal done, n_clips
            for batch in waiting.timed(loaded):
                yield batch.clips, batch.scenes  # whoever took it has scored it when it asks for the next
                done, n_clips = done + 1, n_clips + len(batch.places)
                if done >= n_batches and time.perf_counter() - start >= seconds:
                    return

        with closing(loaded):
            log_probs(self.model, clips(), self.device, precision_on(self.job.run, self.device))
        return Stretch(done, n_clips, time.perf_counter() - start, waiting.seconds)


def operations_of(job: Job, device: torch.device) -> float:
    """Of a clip, forward and backward, counted on `device` (operations.counted), where the model is already."""
    batch = ScoringBatches(job.pack, np.arange(1, dtype=np.int64), job.run.config.data, 1).read(0)
    scenes = torch.nan_to_num(batch.scenes, 1 / batch.scenes.shape[1])
    return counted(job.model, batch.clips.to(device), scenes.to(device))
