"""What a pack looks like on disk, and the arithmetic of its size.

PACK/pack.json              what it was made of and how; written last: a pack without it is not finished
PACK/index.parquet          a row a clip: its labels by name, its scene labels, its shard, row and check sum
PACK/taxonomy.parquet       the classes of the data (contract 6)
PACK/shards/00000.npy       uint8 (clips, T, 3, H, W), red, green, blue; read through the memory map
PACK/shards/00000.parquet   with format jpeg: a row a clip, T encoded frames
PACK/shards/00000.npy       with format features: float16 (clips, T, D), a frozen encoder's vector of each frame
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import pyarrow as pa

from .sampling import Sampling

PixelFormat = Literal["uint8", "jpeg"]
Format = Literal["uint8", "jpeg", "features"]
VERSION = "2"
_SHARD_BYTES = 256_000_000
_FEATURE_CLIPS = 256
"""Clips of a shard of features. They are small, and slow to make: what a stop loses is counted in clips, not bytes."""
_JPEG_BYTES_A_PIXEL = 0.32
"""Of street films at 112 px and quality 90, as measured; for the estimate alone."""

INDEX = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("video_id", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("city", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("country", pa.string(), nullable=False),
        pa.field("continent", pa.string(), nullable=False),
        pa.field("scene_soft", pa.list_(pa.float32())),
        pa.field("scene_top1", pa.list_(pa.int16())),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("crc32", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PackConfig:
    """How clips are cached."""

    n_frames: int = 16
    """Frames of a clip."""
    size_px: int = 224
    """Side of a frame; its picture is squeezed to a square, as the paper and the released code do. With `features`:
    what the encoder takes, filled in by `pack.features.of_encoder`."""
    sampling: Sampling = "uniform"
    """Which of the saved frames."""
    format: Format = "uint8"
    """`uint8`: as the model takes them, nothing to decode. `jpeg`: a tenth of the bytes, decoded while training.
    `features`: no pixels, one vector a frame."""
    jpeg_quality: int = 90
    encoder: str = ""
    """With `features`: whose vectors, by hub id or folder."""
    encoder_digest: str = ""
    """Of the encoder's files; empty: not looked up yet, as in what a run asks for."""
    feature_dim: int = 0
    """D, numbers of a frame's vector; 0: not looked up yet."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: one makes no sense.
        """
        if self.n_frames < 1 or self.size_px < 8 or not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"expected 1 frame or more of 8 px or more and a quality of 1 to 100, got {asdict(self)}")
        if (self.format == "features") != bool(self.encoder):
            raise ValueError(f"expected an encoder with the format features and with no other, got {asdict(self)}")

    @property
    def what(self) -> str:
        """What it holds, for messages."""
        return f"features of {self.encoder}" if self.encoder else "frames"

    @property
    def decisive(self) -> dict[str, Any]:
        """The settings that decide the bytes; those of features are left out where there are none."""
        return {k: v for k, v in asdict(self).items() if v or k not in ("encoder", "encoder_digest", "feature_dim")}

    @property
    def frame_bytes(self) -> int:
        """Of one raw frame."""
        return 3 * self.size_px * self.size_px

    @property
    def clip_bytes(self) -> int:
        """Of one clip in the pack; with `jpeg` an estimate."""
        if self.format == "features":
            return self.n_frames * self.feature_dim * 2
        raw = self.n_frames * self.frame_bytes
        return raw if self.format == "uint8" else round(self.n_frames * self.size_px**2 * _JPEG_BYTES_A_PIXEL)

    @property
    def clips_per_shard(self) -> int:
        """About 256 MB a shard; of features 256 clips."""
        if self.format == "features":
            return _FEATURE_CLIPS
        return max(1, _SHARD_BYTES // self.clip_bytes)

    @classmethod
    def of(cls, value: dict[str, Any]) -> Self:
        """From the `config` of pack.json."""
        return cls(**value)


def shard_name(number: int, format: Format) -> str:
    """File of a shard, relative to the pack."""
    return f"shards/{number:05d}.{'parquet' if format == 'jpeg' else 'npy'}"
