"""The training loop: `fit` reads top to bottom; `Trainer` holds what one step, one epoch and one checkpoint are."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from cityguessr_data.core.errors import MachineError, StopError
from cityguessr_data.core.types import LEVELS

from .. import augment, checkpoints
from ..checkpoints import Progress
from ..data import Places, need_part
from ..loader import Batch, Order, TrainingSteps, batches, scene_targets
from ..losses import Targets, total_loss
from .answers import is_out_of_memory
from .distributed import Slice
from .interrupt import Interrupts
from .log import Listener, MetricsLog
from .optimiser import make_optimiser, rate
from .setup import Job
from .to_device import on_device
from .watch import top1

CHECKPOINT_EVERY_S = 600.0
"""Within an epoch. After an epoch there is one where its part was watched, or the last is older than this:"""
EPOCH_CHECKPOINT_EVERY_S = 60.0
"""Small data have epochs of seconds, and a checkpoint takes part of one."""
READ_EVERY = 10
"""Steps between two looks at the losses on a GPU: each look waits for it. On a CPU every step is looked at."""
_NAMED = 20


def fit(job: Job, accelerator: Accelerator, listener: Listener, workers: int = 0) -> Progress:
    """Train a run from its last checkpoint to its end; how far it then is.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; a checkpoint was saved.
        StopError: a loss or a weight was NaN or infinite; the message has the step, and metrics.jsonl the clips.
        MachineError: out of memory.
        InputError: a damaged shard.
    """
    with Interrupts() as interrupts, Trainer(job, accelerator, listener, workers) as t:
        if t.epoch_is_open:  # stopped while its part was being scored
            t.end_epoch(interrupts)
        for batch in t.batches():
            t.step(batch)
            at_end = t.progress.step % t.order.steps_per_epoch == 0
            if at_end or t.progress.step % t.read_every == 0:
                stop = t.read(interrupts)
                if at_end:
                    t.end_epoch(interrupts)
                if stop or time.monotonic() - t.saved_at > CHECKPOINT_EVERY_S:
                    t.save()
                if stop:
                    raise KeyboardInterrupt
        return t.progress


class Trainer:
    """The state of one run while it is trained. Used as a context manager, which closes the log."""

    def __init__(self, job: Job, accelerator: Accelerator, listener: Listener, workers: int) -> None:
        self.job, self.accelerator, self.listener, self.workers = job, accelerator, listener, workers
        self.config = config = job.run.config.train
        self.device = accelerator.device
        self.order = Order(need_part(job.split, "train"), config.batch, config.seed)
        self.n_steps = config.epochs * self.order.steps_per_epoch
        self.scenes = None
        if job.run.model_config.scenes:
            self.scenes = scene_targets(job.pack, job.run.model_config.n_scenes, config.scene_target)
        self.read_every = READ_EVERY if self.device.type == "cuda" else 1
        self.text = None if job.text is None else job.text.to(self.device)
        optimiser = make_optimiser(job.model, config, fused=self.device.type == "cuda")
        model, self.optimiser = accelerator.prepare(job.model, optimiser)
        self.model: Any = torch.compile(model) if config.compile else model
        self.progress = self._take_up()
        self._saved: Progress | None = None
        self.saved_at = self._read_at = time.monotonic()
        self._unread: list[tuple[int, float, Tensor]] = []  # step, rate, losses on the device
        self._names: list[str] = []
        self.log = None
        if accelerator.is_main_process:
            self.log = MetricsLog(
                job.run.metrics_path, job.run.folder / "tensorboard", self.progress.step, self.progress.epochs
            )
            if not self.log.has_tensorboard:
                listener.said("TensorBoard is not installed: the numbers are in metrics.jsonl alone")
            listener.begun(job.run.folder.name, self.progress.step, self.n_steps, config.epochs)

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.log is not None:
            self.log.close()
            self.listener.ended()

    @property
    def epoch_is_open(self) -> bool:
        """Whether all steps of an epoch are done, and its end is not."""
        return self.progress.step == (self.progress.epochs + 1) * self.order.steps_per_epoch

    def batches(self) -> Iterator[Batch]:
        """Every step that is left, this process's slices of them, on its device."""
        return on_device(self.read_batches(), self.device)

    def read_batches(self) -> Iterator[Batch]:
        """The same as the loader has them."""
        job, a = self.job, self.accelerator
        steps = TrainingSteps(
            job.pack,
            self.order,
            job.run.config.data,
            targets=self.scenes,
            kind=self.config.augment,
            shuffle_labels=self.config.shuffle_labels,
            rank=a.process_index,
            n_processes=a.num_processes,
        )
        return batches(steps, range(self.progress.step, self.n_steps), self.workers, pin=self.device.type == "cuda")

    def step(self, batch: Batch) -> None:
        """Forward, backward, update. Nothing here waits for a GPU."""
        step = self.progress.step
        lr = rate(step, self.n_steps, self.config)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        try:
            names, losses = self._descend(batch, self.order.of_step(step))
        except RuntimeError as exc:  # torch.OutOfMemoryError is one
            if not is_out_of_memory(exc):
                raise
            raise _out_of_memory(self.config.batch, self.device.type) from exc
        self._names = names
        self._unread.append((step + 1, lr, losses))
        self.progress = replace(self.progress, step=step + 1)

    def _descend(self, batch: Batch, whole: Places) -> tuple[list[str], Tensor]:
        """One update of the weights; the names and values of the losses."""
        config, a = self.config, self.accelerator
        _, clips, labels, scenes, scene_targets, looks = batch
        n_labelled = 0 if self.scenes is None else int((~np.isnan(self.scenes[whole, 0])).sum())
        mine = Slice.of(whole, n_labelled, a.process_index, a.num_processes)
        targets = Targets(
            {level: labels[:, at] for at, level in enumerate(LEVELS)},
            None if self.scenes is None else scene_targets,
            None if self.scenes is None else ~scene_targets[:, 0].isnan(),
            None if self.text is None else self.text[labels[:, 0]],
        )
        scores = self.model(augment.look(clips, looks) if looks.shape[1] else clips, scenes)
        reduction = config.tla_reduction
        count = torch.full((), mine.scene_count, device=self.device)  # a number would be copied there, and waited for
        parts = total_loss(scores, targets, tla_reduction=reduction, scene_count=count, n_processes=a.num_processes)
        parts = mine.weighted(parts, reduction)
        a.backward(parts.total)
        if config.grad_clip:
            a.clip_grad_norm_(self.job.model.parameters(), config.grad_clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        by_name = parts.by_name()
        return list(by_name), torch.stack([value.float() for value in by_name.values()])

    def read(self, interrupts: Interrupts) -> bool:
        """Look at the losses since the last look, and log them; whether any process was asked to stop.

        Raises:
            StopError: a loss that is no number.
        """
        asked = self._unread[-1][2].new_full((len(self._names),), float(interrupts.asked))
        rows = torch.stack([losses for _, _, losses in self._unread] + [asked])
        values = self.accelerator.reduce(rows, "mean").tolist()
        now = time.monotonic()
        clips_per_s = self._clips_since() / max(now - self._read_at, 1e-9)
        for (step, lr, _), numbers in zip(self._unread, values, strict=False):
            losses = dict(zip(self._names, numbers, strict=True))
            if not math.isfinite(losses["total"]):
                self._stop_for_nan(step, f"the loss is {losses['total']}")
            if self.log is not None:
                epoch = -(-step // self.order.steps_per_epoch)
                self.log.write({"step": step, "epoch": epoch, "lr": lr, **losses, "clips_per_s": clips_per_s})
        if self.log is not None:
            self.log.flush()
            memory = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
            self.listener.stepped(self._unread[-1][0], losses, clips_per_s, memory)
        self._unread, self._read_at = [], now
        return bool(values[-1][0] > 0)

    def end_epoch(self, interrupts: Interrupts) -> None:
        """Score the watched part, remember the best, save.

        Raises:
            KeyboardInterrupt: asked to stop in between; saved before that.
        """
        watch, epoch = self.config.watch, self.progress.epochs + 1
        ended = replace(self.progress, epochs=epoch)
        if watch != "none":
            scores = top1(
                self.job.model,
                self.job.pack,
                need_part(self.job.split, watch),
                self.job.run.config,
                self.accelerator,
                self.workers,
                stop=lambda: interrupts.asked,
            )
            if scores is None:
                self.save()
                raise KeyboardInterrupt
            if self.progress.best_top1 is None or scores["city"] > self.progress.best_top1:
                ended = replace(ended, best=ended.name, best_top1=scores["city"], best_epoch=epoch)
            if self.log is not None:
                named = {f"{watch}/{level}": score for level, score in scores.items()}
                self.log.write({"step": ended.step, "epoch": epoch, **named})
                self.log.flush()
                self.listener.scored(epoch, watch, scores)
        self.progress = ended
        due = time.monotonic() - self.saved_at > EPOCH_CHECKPOINT_EVERY_S
        if due or watch != "none" or ended.step == self.n_steps:
            self.save()
        self._read_at = time.monotonic()

    def save(self) -> None:
        """Write a checkpoint, in the main process.

        Raises:
            StopError: a weight is no number, as after a gradient that was none; the checkpoint before this is kept.
        """
        self.saved_at = time.monotonic()
        if not self.accelerator.is_main_process or self._saved == self.progress:
            return
        weights = self.job.model.state_dict()
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            self._stop_for_nan(self.progress.step, "a weight is no number")
        self._saved = self.progress
        scaler = self.accelerator.scaler
        state = {"optimiser": self.optimiser.state_dict(), "scaler": None if scaler is None else scaler.state_dict()}
        checkpoints.save(self.job.run.checkpoints, self.progress, weights, state)

    def _take_up(self) -> Progress:
        """Where the run stands; its weights are loaded, the optimiser's state is loaded here."""
        newest = checkpoints.last(self.job.run.checkpoints)
        if newest is None:
            return Progress()
        state = checkpoints.read_training_state(newest)
        self.optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        return checkpoints.read_progress(newest)

    def _clips_since(self) -> int:
        return sum(len(self.order.of_step(step - 1)) for step, _, _ in self._unread)

    def _stop_for_nan(self, step: int, what: str) -> None:
        ids = [self.job.pack.clip_ids[place] for place in self.order.of_step(step - 1).tolist()]
        if self.log is not None:
            epoch = -(-step // self.order.steps_per_epoch)
            self.log.write({"step": step, "epoch": epoch, "stopped": what, "clips": ids})
            self.log.flush()
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        raise StopError(
            f"{what} at step {step}, with the clips {', '.join(ids[:_NAMED])}{more}",
            "Train again with a lower train.lr, with train.grad_clip=1 or with train.precision=fp32",
        )


def _out_of_memory(batch: int, device: str) -> MachineError:
    less = [f"--set train.batch={batch // 2}"] if batch > 1 else []
    half = ["--set train.precision=bf16"] if device == "cuda" else []
    tips = [*less, "--set network.checkpointing=true", *half]
    where = "the GPU" if device == "cuda" else "the machine"
    return MachineError(
        f"{where} has not enough memory for train.batch={batch}", f"Train into another folder with {' or '.join(tips)}"
    )
