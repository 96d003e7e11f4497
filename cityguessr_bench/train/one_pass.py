"""For a model that is fitted in one pass over the training clips, without gradients: what loop.fit is for the others.

Such a model has `fit_pass`, and one epoch. The run looks like any other: metrics.jsonl, a checkpoint, a best one where
a part is watched. Of several processes each makes the same pass over all clips; cached features are read in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from cityguessr_data.core.errors import StopError

from .. import checkpoints
from ..checkpoints import Progress
from ..data import need_part
from ..loader import ScoringBatches, batches, shuffled_labels
from .interrupt import Interrupts
from .log import Listener, MetricsLog
from .setup import Job
from .watch import top1


def is_one_pass(model: nn.Module) -> bool:
    """Whether a model is fitted this way."""
    return hasattr(model, "fit_pass")


def fit_once(job: Job, accelerator: Accelerator, listener: Listener, workers: int = 0) -> Progress:
    """Fit the model of a run, from the start; it sees each clip by the frames that it is scored by.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; nothing was saved, for the pass is short.
        StopError: a number that the model was given, or made, is none.
        InputError: a damaged shard.
    """
    config, model, device = job.run.config.train, job.model.to(accelerator.device).eval(), accelerator.device
    places = need_part(job.split, "train")
    labels = shuffled_labels(job.pack.labels, places, config.seed) if config.shuffle_labels else job.pack.labels
    steps = ScoringBatches(job.pack, places, job.run.config.data, config.batch, config.seed, labels)
    with Interrupts() as interrupts:
        log = _begun(job, listener, len(steps)) if accelerator.is_main_process else None
        try:
            began_s = time.monotonic()

            def read() -> Iterator[tuple[Tensor, Tensor]]:
                for batch in batches(steps, range(len(steps)), workers, pin=device.type == "cuda"):
                    if interrupts.asked:
                        raise KeyboardInterrupt
                    yield batch.clips.to(device), batch.labels.to(device)

            fitted: Any = model  # it has fit_pass
            fitted.fit_pass(read())
            if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
                raise StopError("a weight is no number", "Pack the features again: cgtool bench pack")
            done = Progress(len(steps), 1)
            clips_per_s = len(places) / max(time.monotonic() - began_s, 1e-9)
            if log is not None:
                log.write({"step": done.step, "epoch": 1, "lr": 0.0, "clips_per_s": clips_per_s})
                listener.stepped(done.step, {}, clips_per_s, 0)
            done = _watched(job, accelerator, listener, log, done, workers, interrupts)
            if accelerator.is_main_process:
                checkpoints.save(job.run.checkpoints, done, model.state_dict(), {})
            return done
        finally:
            if log is not None:
                log.close()
                listener.ended()


def _begun(job: Job, listener: Listener, n_steps: int) -> MetricsLog:
    log = MetricsLog(job.run.metrics_path, job.run.folder / "tensorboard", 0, 0)
    listener.begun(job.run.folder.name, 0, n_steps, 1)
    return log


def _watched(
    job: Job,
    accelerator: Accelerator,
    listener: Listener,
    log: MetricsLog | None,
    done: Progress,
    workers: int,
    interrupts: Interrupts,
) -> Progress:
    """With the score of the watched part, if there is one: the only checkpoint is then the best."""
    config = job.run.config
    if config.train.watch == "none":
        return done
    places = need_part(job.split, config.train.watch)
    scores = top1(job.model, job.pack, places, config, accelerator, workers, stop=lambda: interrupts.asked)
    if scores is None:
        raise KeyboardInterrupt
    if log is not None:
        named = {f"{config.train.watch}/{level}": score for level, score in scores.items()}
        log.write({"step": done.step, "epoch": 1, **named})
        listener.scored(1, config.train.watch, scores)
    return Progress(done.step, 1, best=done.name, best_top1=scores["city"], best_epoch=1)
