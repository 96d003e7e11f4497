"""Cached features: in place of a frame's pixels, the vector that a frozen image encoder gives it.

A model on top of a frozen encoder sees the same vectors in every epoch, so they are made once. The encoder comes from
above (models/image_encoders.py); here is what a pack needs of one, and how a shard is written.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.errors import MachineError

from .layout import PackConfig

Frames = npt.NDArray[np.uint8]
Read = Callable[[Sequence[str]], Frames]
"""Paths of the frames table -> the frames of one clip: uint8 (T, size, size, 3), red, green, blue."""
FRAMES_AT_ONCE = 64
"""About as many go through the encoder together; clips are never cut for it."""


class FrameEncoder(Protocol):
    """What turns frames into vectors; models.image_encoders.ImageEncoder is one."""

    @property
    def name(self) -> str:
        """Hub id or folder."""

    @property
    def digest(self) -> str:
        """Changes whenever its vectors may."""

    @property
    def size_px(self) -> int:
        """Side of the frames that it takes."""

    @property
    def dim(self) -> int:
        """D, numbers of a vector."""

    def encode(self, frames: Frames) -> npt.NDArray[np.float32]:
        """uint8 (N, 3, size, size), red, green, blue -> float32 (N, D)."""


def of_encoder(config: PackConfig, encoder: FrameEncoder) -> PackConfig:
    """`config` with what only the encoder knows: its digest, the size of its frames and of its vectors."""
    return replace(config, encoder_digest=encoder.digest, size_px=encoder.size_px, feature_dim=encoder.dim)


def write_features(
    path: Path,
    clips: Sequence[Sequence[str]],
    config: PackConfig,
    encoder: FrameEncoder,
    pool: ThreadPoolExecutor,
    read: Read,
    on_clips: Callable[[int], None] | None = None,
) -> list[int]:
    """Write one shard, float16 (clips, T, D); the CRC-32 of every clip's bytes.

    Args:
        clips: the paths of their frames, as the frames table has them.
        pool: reads ahead while the encoder works.
        on_clips: called with the number of clips after each batch of them.
    Raises:
        MachineError: a feature that is no number, or too large for float16.
        DiskFullError: no space left.
    """
    block = np.empty((len(clips), config.n_frames, config.feature_dim), np.float16)
    at_once = max(1, FRAMES_AT_ONCE // config.n_frames)
    done = 0
    for some in _batches(_ahead(pool, read, clips, 2 * at_once), at_once):
        pixels = np.concatenate(some).transpose(0, 3, 1, 2)
        vectors = encoder.encode(np.ascontiguousarray(pixels)).reshape(len(some), config.n_frames, -1)
        with np.errstate(over="ignore"):
            block[done : done + len(some)] = vectors
        done += len(some)
        if on_clips is not None:
            on_clips(len(some))
    finite = np.isfinite(block).all(axis=(1, 2))
    if not finite.all():
        frame = clips[int(np.argmin(finite))][0]
        raise MachineError(
            f"{encoder.name} gives numbers that are none, or too large, for {int((~finite).sum())} clips (first: that "
            f"of {frame})",
            "Run it again with --precision fp32",
        )
    content = io.BytesIO()
    np.save(content, block)
    write_bytes(path, content.getbuffer())
    return [zlib.crc32(clip.data) for clip in block]


def _ahead(pool: ThreadPoolExecutor, read: Read, clips: Sequence[Sequence[str]], n: int) -> Iterator[Frames]:
    """The frames of all clips in order; `n` clips at most wait in memory."""
    waiting: deque[Future[Frames]] = deque()
    for paths in clips:
        waiting.append(pool.submit(read, paths))
        if len(waiting) > n:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batches(clips: Iterator[Frames], n: int) -> Iterator[list[Frames]]:
    batch: list[Frames] = []
    for frames in clips:
        batch.append(frames)
        if len(batch) == n:
            yield batch
            batch = []
    if batch:
        yield batch
