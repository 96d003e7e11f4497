"""Batches of a pack. Everything that is drawn by chance is keyed by (seed, purpose, epoch, place).

So a batch is a function of its step alone: it is the same with any number of processes or workers, and after a resume
in the middle of an epoch. A loader of a whole run is a range of steps.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cityguessr_data.core.errors import CgtoolError

from . import augment
from .data import Places
from .pack.read import Pack
from .pack.sampling import Pick
from .run_config import DataConfig, SceneTarget

_ORDER, _FRAMES, _AUGMENT, _SHUFFLE, _SCORED = range(5)
"""What a random number is for: no two purposes share their draws."""


class Batch(NamedTuple):
    """B clips. A tuple of tensors, so that a loader can pin it."""

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


class TrainingSteps(Dataset[Batch]):
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

    def __getitem__(self, step: int) -> Batch:
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
        return _batch(self.pack, self.labels, self.targets, places, chosen, looks)


class ScoringBatches(Dataset[Batch]):
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

    def __getitem__(self, number: int) -> Batch:
        if not 0 <= number < len(self):
            raise IndexError(number)
        places = self.places[number * self.batch : (number + 1) * self.batch]
        stored = self.pack.config.n_frames
        chosen = [scored_choice(stored, self.data, self.seed, int(place)) for place in places]
        looks = np.zeros((len(places), 0), np.float32)
        return _batch(self.pack, self.labels, self.targets, places, chosen, looks)


def batches(dataset: Dataset[Batch], keys: Sequence[int], workers: int = 0, *, pin: bool = False) -> Iterator[Batch]:
    """The batches of `keys`, in that order, read ahead by `workers` processes (0: in this one).

    Args:
        pin: into page-locked memory, from which a GPU copies while it computes.
    Raises:
        InputError: a damaged shard.
    """
    loader: DataLoader[Batch | CgtoolError] = DataLoader(
        _Told(dataset),
        batch_size=None,
        sampler=keys,
        num_workers=workers,
        pin_memory=pin,
        generator=torch.Generator(),  # else making an iterator draws from the global one
        worker_init_fn=_deaf,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
    )
    for found in loader:
        if isinstance(found, CgtoolError):
            raise found
        yield found


class _Told(Dataset[Batch | CgtoolError]):
    """Hands an error of ours on as a value: raised in a worker, it would arrive as the text of its traceback."""

    def __init__(self, dataset: Dataset[Batch]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: int) -> Batch | CgtoolError:
        try:
            return self.dataset[key]
        except CgtoolError as exc:
            return exc


def _deaf(_worker: int) -> None:
    """Ctrl-C reaches a whole terminal; the main process decides when its workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
) -> Batch:
    clips = np.stack([pack.clip(int(place))[frames] for place, frames in zip(places, chosen, strict=True)])
    return Batch(
        torch.from_numpy(places.copy()),
        torch.from_numpy(clips),
        torch.from_numpy(labels[places].astype(np.int64)),
        torch.from_numpy(pack.scene_soft[places]),
        torch.from_numpy(targets[places]),
        torch.from_numpy(looks),
    )
