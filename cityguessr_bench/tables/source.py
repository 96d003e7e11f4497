"""What a data set offers to the runs of a table; but for `pack`, read from its tables alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.partitions import is_manifest, manifest_schema, read_manifest

from ..classes import Classes
from ..data import open_pack
from ..pack.layout import PackConfig
from ..pack.read import Pack
from ..pack.write import plan_pack
from ..parquet import read_parquet
from ..run_config import DataConfig

_SPLIT = pa.schema([pa.field("clip_id", pa.string(), nullable=False), pa.field("part", pa.string(), nullable=False)])
_LABELS = ("clip_id", *("city", "state", "country", "continent"), "scene_soft")


@dataclass(frozen=True)
class Source:
    """A data set (or its pack) with one of its splits.

    Raises:
        InputError: no data set, no such split, or a split of folds.
    """

    folder: Path
    split: str
    """Name of a split; its parts are in OUT/splits."""
    _packs: dict[PackConfig, Pack] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Look for the data and the split before hours go into the first run."""
        if not self._clips_path.is_file():
            raise InputError(f"{self.folder} is no data set and no pack", "Name the --out of a build, or a pack")
        if self.split_path.is_file():
            return
        splits = self.folder / "splits"
        if (splits / f"{self.split}-fold0.parquet").is_file():
            raise InputError(
                f"the split {self.split} is one of folds, and a table takes one split",
                f"Give --split {self.split}-fold0, and the other folds their own tables",
            )
        known = ", ".join(sorted(path.stem for path in splits.glob("*.parquet"))) or "none"
        raise InputError(
            f"{self.folder} has no split {self.split}; it has {known}",
            f"Make it with cgtool split {self.folder} --by video, or name one with --split",
        )

    @property
    def is_pack(self) -> bool:
        """Whether it is a pack, and not an output directory."""
        return (self.folder / "pack.json").is_file()

    @property
    def split_path(self) -> Path:
        """The split's file."""
        return self.folder / "splits" / f"{self.split}.parquet"

    @property
    def _clips_path(self) -> Path:
        return self.folder / ("index.parquet" if self.is_pack else "manifests/clips.parquet")

    @cached_property
    def part_of(self) -> Mapping[str, str]:
        """The part of every clip.

        Raises:
            InputError: another kind of file.
        """
        table = read_parquet(self.split_path, _SPLIT, "A split has the columns clip_id and part")
        return dict(zip(table["clip_id"].to_pylist(), table["part"].to_pylist(), strict=True))

    @property
    def split_digest(self) -> str:
        """As `data.Split.digest`: of clip ids and parts."""
        return fingerprint(sorted(self.part_of.items()))

    def ids_of(self, part: str) -> frozenset[str]:
        """Ids of the clips of a part."""
        return frozenset(clip_id for clip_id, one in self.part_of.items() if one == part)

    @property
    def n_of_part(self) -> Mapping[str, int]:
        """Clips by part."""
        return Counter(self.part_of.values())

    @cached_property
    def clips(self) -> pa.Table:
        """Ids, places and scene labels of all clips, and the scene column."""
        names = [name for name in (*_LABELS, "scene_top1") if name in manifest_schema(self._clips_path).names]
        return read_manifest(self._clips_path, names)

    @cached_property
    def classes(self) -> Classes:
        """Of the data: here for their counts."""
        return Classes.of_clips(self.clips)

    def lacks_scenes(self, n_scenes: int) -> str:
        """Why no clip to train on has labels of 16 or 365 scenes; empty where there are some."""
        train = pc.is_in(self.clips["clip_id"], pa.array([c for c, part in self.part_of.items() if part == "train"]))
        known = self.clips.filter(train)
        column = "scene_soft" if n_scenes == 16 else "scene_top1"
        if column in known.column_names:
            there = known[column].null_count < known.num_rows
        else:  # of an output directory, the single frames have them
            there = n_scenes != 16 and self._frames_have_scenes()
        return "" if there else f"no clip to train on has labels of {n_scenes} scenes"

    def _frames_have_scenes(self) -> bool:
        path = self.folder / "manifests" / "frames.parquet"
        if not is_manifest(path) or "scene_top1" not in manifest_schema(path).names:
            return False
        column = read_manifest(path, ["scene_top1"])["scene_top1"]
        return bool(column.null_count < len(column))

    def pixels(self, config: DataConfig) -> str | None:
        """The fingerprint of the clips' pixels as a pack has it, without packing; None where that cannot be told.

        Raises:
            InputError: clips that cannot be packed like that.
        """
        if self.is_pack:
            return self.pack(config).pixels
        return None if config.pack.encoder else plan_pack(self.folder, config.pack).fingerprint

    def pack(self, config: DataConfig, say: Callable[[str], None] = lambda _: None) -> Pack:
        """The pack that runs of these settings are trained on; an output directory is packed, once for all of them.

        Raises:
            InputError: a clip without a frame that the settings want; a pack of other settings.
            DiskFullError: no space for the pack.
        """
        wanted = config.pack
        if wanted not in self._packs:
            self._packs[wanted] = open_pack(self.folder, config, say)
        return self._packs[wanted]
