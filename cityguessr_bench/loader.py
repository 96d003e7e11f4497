"""Batches of a pack. Everything that is drawn by chance is keyed by (seed, purpose, epoch, place).

So a batch is a function of its step alone: it is the same with any number of processes or workers, and after a resume
in the middle of an epoch. A loader of a whole run is a range of steps.

Workers are threads. Reading, summing, copying and decoding all let go of Python's lock, and a thread reads clips to
where the GPU takes them from; a worker process would have to send them, which took longer than to read them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import augment
from .data import Places
from .pack.read import Pack
from .pack.sampling import Pick
from .run_config import DataConfig, SceneTarget

_ORDER, _FRAMES, _AUGMENT, _SHUFFLE, _SCORED = range(5)
"""What a random number is for: no two purposes share their draws."""
_AHEAD = 2
"""Batches that each worker has read, or reads, before they are asked for."""


class Batch(NamedTuple):
    """B clips. A tuple of tensors, all moved to a device alike."""

    places: Tensor
    """(B,) int64, of the pack."""
    clips: Tensor
    """(B, T, 3, H, W) uint8, or features (B, T, D) float16."""
    labels: Tensor
    """(B, 4) int64 in the order of LEVELS."""
    scenes: Tensor
    """(B, 16) float32, the soft labels that a model may look at; NaN where a clip has none."""
    scene_targets: Tensor
    """(B, n_scenes) float32, what L_scene compares with; NaN where a clip has none. (B, 0): not asked for."""
    looks: Tensor
    """(B, augment.N_NUMBERS) float32, what augmentation does to each clip; (B, 0): nothing."""


@dataclass(frozen=True)
class Order:
    """Which clips every step of a run sees, before any process takes its share."""

    places: Places
    """Of the training part."""
    batch: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """The last batch of an epoch may be smaller; no clip is left out."""
        return -(-len(self.places) // self.batch)

    def of_step(self, step: int) -> Places:
        """The global batch of a step, counted from 0: (B,) places."""
        epoch, number = divmod(step, self.steps_per_epoch)
        shuffled = self.places[_permutation(self.seed, epoch, len(self.places))]
        return shuffled[number * self.batch : (number + 1) * self.batch]


def share(places: Places, rank: int, n_processes: int) -> Places:
    """The slice of a global batch that one process takes; sizes differ by one at most and may be 0."""
    return np.array_split(places, n_processes)[rank]


def frame_choice(
    n_stored: int, n_frames: int, rng: np.random.Generator | None = None, pick: Pick = "spread"
) -> npt.NDArray[np.int64]:
    """Which of a clip's stored frames are taken: (n_frames,) places.

    Args:
        rng: of training; None: of scoring, where `random` asks for one (`scored_choice`).
        pick: `spread`: of each equal stretch one at random, or the first without `rng`. The others are of one frame.
    """
    if pick != "spread":
        if pick == "random":
            if rng is None:
                raise ValueError("expected a generator: a random frame is to be picked")
            return rng.integers(0, n_stored, 1)
        return np.array([{"first": 0, "middle": n_stored // 2, "last": n_stored - 1}[pick]], np.int64)
    stretch = n_stored // n_frames
    first = np.arange(n_frames, dtype=np.int64) * stretch
    if rng is None or stretch == 1:
        return first
    return first + rng.integers(0, stretch, n_frames)


def scored_choice(n_stored: int, data: DataConfig, seed: int, place: int) -> npt.NDArray[np.int64]:
    """Which stored frames a clip is scored by; a random one is the same at every scoring with that seed."""
    rng = _rng(seed, _SCORED, place) if data.pick == "random" else None
    return frame_choice(n_stored, data.frames, rng, data.pick)


def scene_targets(pack: Pack, n_scenes: int, target: SceneTarget) -> npt.NDArray[np.float32]:
    """What L_scene compares every clip of a pack with: (n_clips, n_scenes), rows that sum to 1, or of NaN.

    Args:
        n_scenes: 16 or 365.
        target: the clip's soft label, or 1 for its largest share (of equal ones the first) and 0 elsewhere.
    """
    soft = pack.scene_soft if n_scenes == pack.scene_soft.shape[1] else pack.scene_soft_365
    if target == "soft":
        return soft
    known = ~np.isnan(soft[:, 0])
    hard = np.full_like(soft, np.nan)
    hard[known] = np.eye(n_scenes, dtype=np.float32)[soft[known].argmax(axis=1)]
    return hard


def shuffled_labels(labels: npt.NDArray[np.int32], places: Places, seed: int) -> npt.NDArray[np.int32]:
    """A copy of (n_clips, 4) labels in which the clips at `places` have each other's."""
    shuffled = labels.copy()
    shuffled[places] = labels[_rng(seed, _SHUFFLE).permutation(places)]
    return shuffled


class Source(Protocol):
    """Batches by their keys; several threads may read at once."""

    def read(self, key: int, /, *, pin: bool = False) -> Batch:
        """One batch.

        Args:
            pin: in page-locked memory, from which a GPU copies while it computes.
        Raises:
            InputError: a damaged shard.
        """


class TrainingSteps:
    """The batches of one process by step. A step's slice that would be empty holds the batch's first clip instead, for
    every process has to take part in every step; distributed.py gives it no weight."""

    def __init__(
        self,
        pack: Pack,
        order: Order,
        data: DataConfig,
        *,
        targets: npt.NDArray[np.float32] | None = None,
        kind: augment.Kind = "none",
        shuffle_labels: bool = False,
        rank: int = 0,
        n_processes: int = 1,
    ) -> None:
        self.pack, self.order, self.data, self.kind = pack, order, data, kind
        self.targets = np.zeros((len(pack), 0), np.float32) if targets is None else targets
        self.rank, self.n_processes = rank, n_processes
        self.labels = shuffled_labels(pack.labels, order.places, order.seed) if shuffle_labels else pack.labels

    def read(self, step: int, *, pin: bool = False) -> Batch:
        """The batch of a step, counted from 0; see Source."""
        whole = self.order.of_step(step)
        mine = share(whole, self.rank, self.n_processes)
        places = mine if len(mine) else whole[:1]
        seed, epoch = self.order.seed, step // self.order.steps_per_epoch
        stored = self.pack.config.n_frames
        data = self.data
        chosen = [frame_choice(stored, data.frames, _rng(seed, _FRAMES, epoch, int(p)), data.pick) for p in places]
        looks = np.zeros((len(places), 0), np.float32)
        if self.kind != "none":
            looks = np.stack([augment.draw(_rng(seed, _AUGMENT, epoch, int(p)), self.kind) for p in places])
        return _batch(self.pack, self.labels, self.targets, places, chosen, looks, pin)


class ScoringBatches:
    """Clips in the order of their places, each with the frames of `scored_choice`."""

    def __init__(
        self,
        pack: Pack,
        places: Places,
        data: DataConfig,
        batch: int,
        seed: int = 0,
        labels: npt.NDArray[np.int32] | None = None,
    ) -> None:
        self.pack, self.places, self.data, self.batch, self.seed = pack, places, data, batch, seed
        self.labels = pack.labels if labels is None else labels
        self.targets = np.zeros((len(pack), 0), np.float32)

    def __len__(self) -> int:
        return -(-len(self.places) // self.batch)

    def read(self, number: int, *, pin: bool = False) -> Batch:
        """One of `len` batches; see Source."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        places = self.places[number * self.batch : (number + 1) * self.batch]
        stored = self.pack.config.n_frames
        chosen = [scored_choice(stored, self.data, self.seed, int(place)) for place in places]
        looks = np.zeros((len(places), 0), np.float32)
        return _batch(self.pack, self.labels, self.targets, places, chosen, looks, pin)


def batches(
    source: Source, keys: Iterable[int], workers: int = 0, *, pin: bool = False
) -> Generator[Batch, None, None]:
    """The batches of `keys`, in that order, read ahead by `workers` threads (0: by the caller, when asked).

    Args:
        pin: in page-locked memory, from which a GPU copies while it computes.
    Raises:
        InputError: a damaged shard.
    """
    read = partial(source.read, pin=pin)
    if not workers:
        yield from map(read, keys)
        return
    device = torch.cuda.current_device() if pin else None
    pool = ThreadPoolExecutor(workers, "cgtool-loader", partial(_use, device))
    waiting: deque[Future[Batch]] = deque()
    try:
        for key in keys:
            waiting.append(pool.submit(read, key))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _use(device: int | None) -> None:
    """Page-locked memory belongs to a GPU: each thread asks for it at the caller's, not at the first."""
    if device is not None:
        torch.cuda.set_device(device)


def _rng(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng((seed, *key))


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> npt.NDArray[np.int64]:
    return _rng(seed, _ORDER, epoch).permutation(n)


def _batch(
    pack: Pack,
    labels: npt.NDArray[np.int32],
    targets: npt.NDArray[np.float32],
    places: Places,
    chosen: Sequence[npt.NDArray[np.int64]],
    looks: npt.NDArray[np.float32],
    pin: bool,
) -> Batch:
    clips = _room((len(places), len(chosen[0]), *pack.clip_shape[1:]), pack.dtype, pin)
    for place, frames, into in zip(places, chosen, clips.numpy(), strict=True):
        pack.read(int(place), frames, into)
    numbers = (places.copy(), labels[places].astype(np.int64), pack.scene_soft[places], targets[places], looks)
    at, *others = (torch.from_numpy(one).pin_memory() if pin else torch.from_numpy(one) for one in numbers)
    return Batch(at, clips, *others)


def _room(shape: tuple[int, ...], dtype: np.dtype[np.generic], pin: bool) -> Tensor:
    kind = torch.float16 if dtype == np.float16 else torch.uint8
    return torch.empty(shape, dtype=kind, pin_memory=pin)
