"""The same training as the released code does it: JPEGs decoded and resized in the main process, fp32, no workers.

Written after what that code is known to do, not after its text: frames of 1280 x 720 read with Pillow, squeezed, scaled
to [0, 1], stacked to batches by the main process between two steps; Adam; nothing is read ahead. The network is ours at
the same settings, attention and all, so that what differs is the loop.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cityguessr_data.core.types import LEVELS

from ..losses import Targets, total_loss
from ..run_config import RunConfig
from ..train.setup import Job, build
from .stretch import Stretch, Waiting

Sample = tuple[Tensor, Tensor, Tensor]
_MANY = 1_000_000


class PlainClips(Dataset[Sample]):
    """Clips of frames that are files: pixels (T, 3, H, W) in [0, 1], labels (4,), scenes (n_scenes,).

    Args:
        frames: files, taken one after the other, from the first again where they end.
        labels: (N, 4); clip i has those of row i modulo N.
    """

    def __init__(
        self, frames: Sequence[Path], n_frames: int, size_px: int, labels: np.ndarray[Any, Any], n_scenes: int = 16
    ) -> None:
        self.frames, self.n_frames, self.size_px, self.labels = frames, n_frames, size_px, labels
        self.n_scenes = n_scenes

    def __len__(self) -> int:
        return _MANY

    def __getitem__(self, index: int) -> Sample:
        from PIL import Image

        pixels = []
        for at in range(index * self.n_frames, (index + 1) * self.n_frames):
            with Image.open(self.frames[at % len(self.frames)]) as picture:
                small = picture.convert("RGB").resize((self.size_px, self.size_px), Image.Resampling.BILINEAR)
            pixels.append(torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255)
        labels = torch.from_numpy(self.labels[index % len(self.labels)].astype(np.int64))
        return torch.stack(pixels), labels, torch.full((self.n_scenes,), 1 / self.n_scenes)


def plain_batches(clips: PlainClips, batch: int) -> Iterator[list[Tensor]]:
    """Of PlainClips, in the main process, one after the other."""
    return iter(DataLoader(clips, batch_size=batch, num_workers=0))


class Plain:
    """That loop, a stretch at a time.

    Args:
        job: of the same settings; its own network is left alone.
        frames: the JPEGs that are decoded.
    """

    def __init__(self, job: Job, frames: Sequence[Path], device: torch.device) -> None:
        config: RunConfig = job.run.config
        self.job, self.device, self.config = job, device, config
        _, model = build(config, job.run.model_config)
        self.model = model.to(device).train()
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=config.train.lr)
        clips = PlainClips(
            frames, config.data.frames, config.data.size_px, job.pack.labels, job.run.model_config.n_scenes
        )
        self._waiting = Waiting()
        self._batches = self._waiting.timed(plain_batches(clips, config.train.batch))
        self._text = None if job.text is None else job.text.to(device)

    def advance(self, n_steps: int = 1, seconds: float = 0.0) -> Stretch:
        """Train for so many steps and seconds at least."""
        waited_s, start, done, n_clips = self._waiting.seconds, time.perf_counter(), 0, 0
        while done < n_steps or time.perf_counter() - start < seconds:
            clips, labels, scenes = (tensor.to(self.device) for tensor in next(self._batches))
            scores = self.model(clips, scenes[:, :16])
            targets = Targets(
                {level: labels[:, at] for at, level in enumerate(LEVELS)},
                scenes if self.job.run.model_config.scenes else None,
                None,
                None if self._text is None else self._text[labels[:, 0]],
            )
            loss: Any = total_loss(scores, targets).total
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            done, n_clips = done + 1, n_clips + len(clips)
        loss.item()  # a GPU has then done every step
        return Stretch(done, n_clips, time.perf_counter() - start, self._waiting.seconds - waited_s)
