"""Reads a pack: clips as uint8 or as features, with their labels and scenes, by their place in the index.

Every clip read is checked against its sum: a shard that rotted on a disk stops the run with its name, and is never
trained on.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.places365 import N_CATEGORIES, soft_label_365

from ..classes import Classes
from ..parquet import read_parquet
from .layout import INDEX, VERSION, PackConfig, shard_name
from .shard import EncodedShard, RawShard

_HINT = "Pack the data set again: cgtool bench pack"
_DAMAGED = "Delete that file, then run cgtool bench pack again, which makes it anew"
_OPEN_SHARDS = 128
"""More than a pack of JPEGs of the whole of CityGuessr68k has; an open file each, or its bytes where it is of JPEGs."""


@dataclass(frozen=True, eq=False)
class Pack:
    """A finished pack. Make one with `open`; any number of threads may read it, and it can be sent to a process."""

    folder: Path
    name: str
    """Of the data set."""
    config: PackConfig
    fingerprint: str
    """Of the clips' pixels and scene labels."""
    pixels: str
    """Of the clips' pixels (or features) alone."""
    index: pa.Table
    classes: Classes
    labels: npt.NDArray[np.int32]
    """(n_clips, 4) in the order of core.types.LEVELS."""
    clip_rule: dict[str, int] | None
    """How videos were cut: min_frames, max_frames and samples of a clip; None: not known, as of imported data."""
    _open: OrderedDict[int, RawShard | EncodedShard] = field(default_factory=OrderedDict, init=False, repr=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a pack and check that it is whole.

        Raises:
            InputError: no pack, an unfinished one, one of another version, or a shard that is missing.
        """
        try:
            about = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            started = (folder / "plan.json").is_file()
            what = "is not finished" if started else "is no pack (it has no pack.json)"
            raise InputError(f"{folder} {what}", "Run cgtool bench pack, which goes on where it stopped") from None
        except ValueError as exc:
            raise InputError(f"{folder}/pack.json is damaged: {exc}", _HINT) from exc
        if not isinstance(about, dict):
            raise InputError(f"{folder}/pack.json is damaged: it is no object", _HINT)
        if about.get("version") != VERSION:
            raise InputError(f"{folder} is a pack of version {about.get('version')}, not {VERSION}", _HINT)
        try:
            config = PackConfig.of(about["config"])
            name, fingerprint, pixels = (about[key] for key in ("name", "fingerprint", "pixels"))
        except (KeyError, TypeError, ValueError) as exc:
            raise InputError(f"{folder}/pack.json is damaged, or of another release: {exc}", _HINT) from exc
        index = read_parquet(folder / "index.parquet", INDEX, _HINT)
        for number in range(int(np.max(index["shard"].to_numpy())) + 1):
            if not (folder / shard_name(number, config.format)).is_file():
                raise InputError(f"the shard {folder / shard_name(number, config.format)} is missing", _HINT)
        classes = Classes.read(folder / "taxonomy.parquet")
        return cls(
            folder,
            name,
            config,
            fingerprint,
            pixels,
            index,
            classes,
            classes.labels(index),
            about.get("clip_rule"),
        )

    def __len__(self) -> int:
        n: int = self.index.num_rows
        return n

    @cached_property
    def clip_ids(self) -> tuple[str, ...]:
        """By place in the index."""
        return tuple(self.index["clip_id"].to_pylist())

    @cached_property
    def scene_soft(self) -> npt.NDArray[np.float32]:
        """(n_clips, 16); NaN for clips without a scene label."""
        rows = self.index["scene_soft"].to_pylist()
        return np.array([[np.nan] * 16 if row is None else row for row in rows], np.float32).reshape(-1, 16)

    @cached_property
    def scene_soft_365(self) -> npt.NDArray[np.float32]:
        """(n_clips, 365), the share of a clip's saved frames in each category; NaN where a frame has no label."""
        shares = np.full((len(self), N_CATEGORIES), np.nan, np.float32)
        for place, top1 in enumerate(self.index["scene_top1"].to_pylist()):
            if top1 is not None:
                shares[place] = soft_label_365(top1)
        return shares

    @cached_property
    def has_scenes(self) -> npt.NDArray[np.bool_]:
        """(n_clips,): which clips have a scene label."""
        labelled: npt.NDArray[np.bool_] = ~np.isnan(self.scene_soft[:, 0])
        return labelled

    @property
    def clip_shape(self) -> tuple[int, ...]:
        """Of one clip: (T, 3, H, W); of a pack of features (T, D)."""
        config = self.config
        one = (config.feature_dim,) if config.format == "features" else (3, config.size_px, config.size_px)
        return (config.n_frames, *one)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the clips: uint8; of features float16."""
        return np.dtype(np.float16 if self.config.format == "features" else np.uint8)

    def clip(self, place: int) -> npt.NDArray[Any]:
        """The frames of one clip: uint8 (T, 3, H, W), red, green, blue; of a pack of features float16 (T, D).

        Raises:
            InputError: its bytes are not those that were written.
        """
        frames = np.empty(self.clip_shape, self.dtype)
        self.read(place, np.arange(len(frames)), frames)
        return frames

    def read(self, place: int, chosen: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> None:
        """Write some frames of one clip where a batch has room for them; the sum is checked of the whole clip.

        Args:
            chosen: (n,) of its T frames.
            into: (n, 3, H, W) or (n, D), contiguous, of `dtype`. What it then holds is not to be used after an error.
        Raises:
            InputError: its bytes are not those that were written.
        """
        shard, row, expected = self._where[place].tolist()
        name = shard_name(shard, self.config.format)
        try:
            crc32 = self._shard(shard).read(row, chosen, into)
        except (OSError, ValueError, IndexError, pa.ArrowException) as exc:
            raise InputError(f"the shard {self.folder / name} is damaged: {exc}", _DAMAGED) from exc
        if crc32 != expected:
            raise InputError(f"the shard {self.folder / name} is damaged: clip {self.clip_ids[place]}", _DAMAGED)

    @cached_property
    def _where(self) -> npt.NDArray[np.int64]:
        return np.stack([self.index[name].to_numpy().astype(np.int64) for name in ("shard", "row", "crc32")], axis=1)

    def _shard(self, number: int) -> RawShard | EncodedShard:
        with self._opening:
            if number not in self._open:
                while len(self._open) >= _OPEN_SHARDS:
                    self._open.popitem(last=False)  # whoever reads it still holds it
                path = self.folder / shard_name(number, self.config.format)
                encoded = self.config.format == "jpeg"
                self._open[number] = EncodedShard(path) if encoded else RawShard(path, self.clip_shape, self.dtype)
            return self._open[number]

    def __getstate__(self) -> dict[str, object]:
        """Without open shards: each process opens its own."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_open", "_opening")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _open=OrderedDict(), _opening=threading.Lock())
