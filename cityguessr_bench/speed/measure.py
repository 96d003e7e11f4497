"""How fast training is here: one run of the real loop, its share of the peak, and a plain loop in turns with it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.timing import peak_memory_bytes
from cityguessr_data.core.units import size

from ..data import open_pack
from ..pack.read import Pack
from ..run_config import RunConfig
from ..train.run import make_accelerator
from .material import random_pack, street_sized_frames
from .operations import by_arithmetic
from .ours import Ours, Scoring, make_job, operations_of
from .peak import Peak, device_name, find_peak, kind_of
from .plain import Plain
from .stretch import Stretch

EPOCHS, TRAIN_CLIPS, TEST_CLIPS = 10, 54_614, 13_655
"""The paper's schedule on CityGuessr68k."""
ROUNDS = 5
_N_JPEGS = 64
_LONG_S = 20.0
_CITIES = 166
_SCORING_SHARE = 0.2
"""Of the seconds of training, for scoring."""


@dataclass(frozen=True)
class SpeedRequest:
    """What `cgtool bench speed train` was asked for."""

    config: RunConfig
    data: Path | None = None
    """A pack or an output directory; None: random clips are made."""
    seconds: float = 60.0
    """Of the measured training, at least."""
    warm_up: int = 10
    """Steps before it."""
    device: str = "auto"
    workers: int | None = None
    """Threads that read clips ahead; None: 4 for a GPU, else 0."""
    plain: bool = False
    """Measure the plain loop too, in turns."""


@dataclass(frozen=True)
class PlainSpeed:
    """The plain loop's part."""

    clips_per_s: float
    """Median of the rounds."""
    waiting_share: float
    """Of its time, in decoding, resizing and stacking."""
    ratio: float
    """Ours over it, medians of rounds that took turns."""
    rounds: tuple[tuple[float, float], ...]
    """Clips/s of each round: ours, its."""


@dataclass(frozen=True)
class TrainSpeed:
    """What was measured."""

    device: str
    config: RunConfig
    data: str
    workers: int
    training: Stretch
    clips_per_s: float
    """With the plain loop in turns the median of the rounds, else of the whole stretch."""
    operations: float | None
    """Of a clip, forward and backward, by arithmetic; None: not known for this model."""
    counted_operations: float
    """The same, counted."""
    flops_per_s: float
    """Reached: by arithmetic where that is known, else as counted."""
    peak: Peak
    peak_memory_bytes: int
    """Of the GPU, as torch allocated it; else the most that this process has held."""
    scoring: Stretch
    training_s: float
    """Estimate by arithmetic: the paper's epochs at this rate."""
    scoring_s: float
    """Estimate by arithmetic: the paper's evaluation at that rate."""
    plain: PlainSpeed | None
    notes: tuple[str, ...]

    @property
    def share_of_peak(self) -> float:
        """Of the device's peak in the run's precision."""
        return self.flops_per_s / self.peak.flops_per_s

    @property
    def waiting_share(self) -> float:
        """Of the time, in asking for the next batch. A GPU that has steps queued computes meanwhile: it waits no longer
        than this, and mostly less."""
        return self.training.waiting_s / self.training.wall_s


def measure(request: SpeedRequest, say: Callable[[str], None] = lambda _: None) -> TrainSpeed:
    """Measure training; nothing is left of it, but for a pack beside an output directory that had none.

    Raises:
        InputError: data or settings are not fit, or under torchrun, for one process is measured.
        MachineError: no such device, or out of memory.
        DiskFullError: no space for clips.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    config = request.config
    if request.plain and config.data.features:
        raise InputError("the plain loop decodes frames, and the run is of features", "Leave --plain out")
    accelerator = make_accelerator(request.device, config.train.precision)
    if accelerator.num_processes > 1:
        raise InputError("one process is measured, and torchrun started several", "Run it without torchrun")
    device = accelerator.device
    on_gpu = device.type == "cuda"
    workers = request.workers if request.workers is not None else 4 if on_gpu else 0
    with tempfile.TemporaryDirectory(prefix="cgtool-speed-") as scratch, ExitStack() as opened:
        pack, notes = _pack(request, Path(scratch), say)
        job = make_job(Path(scratch) / "run", config, pack)
        ours = opened.enter_context(Ours(job, accelerator, workers))
        _warm_up(ours, request, say)
        peak = find_peak(device, kind_of(config.train.precision, device))
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        say(f"measuring for {request.seconds:g} s")
        n_rounds = ROUNDS if request.plain else 1
        rounds = [ours.advance(seconds=request.seconds / n_rounds)]
        memory = torch.cuda.max_memory_allocated(device) if on_gpu else peak_memory_bytes()
        plain, plain_rounds = None, []
        if request.plain:
            frames = street_sized_frames(Path(scratch) / "frames", _N_JPEGS)
            plain = Plain(job, frames, device)
            plain.advance()
            for number in range(n_rounds):
                if number:
                    rounds.append(ours.advance(seconds=request.seconds / n_rounds))
                plain_rounds.append(plain.advance(seconds=request.seconds / n_rounds))
        scoring = Scoring(job, device, workers)
        scoring.advance()
        scored = scoring.advance(seconds=_SCORING_SHARE * request.seconds)
        peak = _larger(peak, device)
        counted = operations_of(job, device)  # last: it holds every attention score of a clip
        accelerator.free_memory()
    whole = sum(rounds[1:], rounds[0])
    rate = statistics.median(one.clips_per_s for one in rounds)
    known = by_arithmetic(config)
    return TrainSpeed(
        device=device_name(device),
        config=config,
        data=str(request.data) if request.data else "random clips",
        workers=workers,
        training=whole,
        clips_per_s=rate,
        operations=known,
        counted_operations=counted,
        flops_per_s=rate * (known if known is not None else counted),
        peak=peak,
        peak_memory_bytes=memory,
        scoring=scored,
        training_s=EPOCHS * TRAIN_CLIPS / rate,
        scoring_s=TEST_CLIPS / scored.clips_per_s,
        plain=_plain_speed(rounds, plain_rounds) if plain else None,
        notes=notes,
    )


def _warm_up(ours: Ours, request: SpeedRequest, say: Callable[[str], None]) -> None:
    """The steps before, and how long they take where that is long."""
    steps = "1 step" if request.warm_up == 1 else f"{request.warm_up} steps"
    say(f"warming up: {steps} of {request.config.train.batch} clips")
    rest, first = request.warm_up - 1, ours.advance()
    if rest and rest * first.wall_s > _LONG_S:
        say(f"the first took {first.wall_s:.0f} s: the others take up to {rest * first.wall_s:.0f} s")
    if rest:
        ours.advance(rest)


def _pack(request: SpeedRequest, scratch: Path, say: Callable[[str], None]) -> tuple[Pack, tuple[str, ...]]:
    config = request.config
    notes = ["weights are random: that changes no time"]
    if request.data is not None:
        return open_pack(request.data, config.data, say, device=request.device), tuple(notes)
    if config.data.features:
        raise InputError("features are measured with a pack of them", "Name a pack: cgtool bench speed train PACK")
    n_clips = max(_CITIES, 2 * config.train.batch)
    say(f"no data named: making {n_clips} random clips, {size(n_clips * config.data.pack.clip_bytes)}")
    notes.append(f"{n_clips} random clips, which lie in memory: a disk that is slower than the loader is not seen")
    return random_pack(scratch / "pack", config.data.pack, n_clips), tuple(notes)


def _larger(before: Peak, device: torch.device) -> Peak:
    """A measured peak is measured again at the end, and the larger one counts: work beside it made the other small."""
    if before.stated:
        return before
    after = find_peak(device, before.kind)
    return max(before, after, key=lambda peak: peak.flops_per_s)


def _plain_speed(ours: Sequence[Stretch], plain: Sequence[Stretch]) -> PlainSpeed:
    rates = [(one.clips_per_s, other.clips_per_s) for one, other in zip(ours, plain, strict=True)]
    median = statistics.median(other for _, other in rates)
    return PlainSpeed(
        clips_per_s=median,
        waiting_share=sum(one.waiting_s for one in plain) / sum(one.wall_s for one in plain),
        ratio=statistics.median(one for one, _ in rates) / median,
        rounds=tuple(rates),
    )
