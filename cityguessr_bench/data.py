"""What a run is trained and scored on: a pack, and the part of the split that each of its clips has.

DATA is a pack, or an output directory, which is then packed first. Every clip of the pack must have a part and every
part a clip: a split made before the data grew or shrank would quietly change what is measured.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.errors import DiskFullError, InputError
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.units import size

from .models import find_model
from .models.image_encoders import ImageEncoder, load_image_encoder
from .pack.features import of_encoder
from .pack.layout import PackConfig
from .pack.pace import Pace
from .pack.read import Pack
from .pack.write import Packed, pack, plan_pack
from .parquet import read_parquet
from .run_config import DataConfig, Part
from .run_dir import RunDir

Places = npt.NDArray[np.int64]
"""Places of clips in the index of a pack, ascending."""
PARTS: tuple[Part, ...] = get_args(Part)
_SPLIT = pa.schema([pa.field("clip_id", pa.string(), nullable=False), pa.field("part", pa.string(), nullable=False)])


@dataclass(frozen=True, eq=False)
class Split:
    """The part of every clip of a pack."""

    name: str
    digest: str
    """16 hex digits of clip ids and parts."""
    parts: Mapping[Part, Places]
    """Parts that have no clip are left out."""
    file: Path | None = None
    """Where it was named by its path."""


def open_data(
    data: Path, config: DataConfig, split: str | Path, say: Callable[[str], None] = lambda _: None, workers: int = 4
) -> tuple[Pack, dict[Part, Places]]:
    """A pack and the clips of each part, by place; an output directory is packed first.

    Args:
        data: a pack or an output directory.
        split: the name of a split, or the path of its Parquet file.
        say: told what is being done where that takes long.
    Raises:
        InputError: no data, a pack of other settings than `config`, no such split, or one that does not fit.
        DiskFullError: no space for the pack.
    """
    opened = open_pack(data, config, say, workers)
    return opened, dict(read_split(opened, split).parts)


def open_pack(
    data: Path,
    config: DataConfig,
    say: Callable[[str], None] = lambda _: None,
    workers: int = 4,
    device: str = "auto",
) -> Pack:
    """The pack at `data`, or made of it.

    Args:
        device: where an encoder of features computes, if any are made.
    Raises:
        InputError: neither a pack nor an output directory; a pack of other settings.
        WeightsError: features are to be made, and their encoder is not there.
        DiskFullError: no space for the pack.
    """
    wanted = config.pack
    if not (data / "pack.json").is_file() and (data / "manifests" / "clips.parquet").is_file():
        encoder = load_image_encoder(wanted.encoder, device) if wanted.encoder else None
        to = _beside(data, with_encoder(wanted, encoder))
        make_pack(data, to, wanted, workers, say, encoder=encoder)
        return Pack.open(to)
    if not data.is_dir():
        raise InputError(f"there is no folder {data}", "Name a pack, or the --out of a build")
    opened = Pack.open(data)
    if opened.config.encoder != wanted.encoder:
        raise InputError(
            f"the pack {data} holds {opened.config.what}, and the run wants {wanted.what}", _other_features(opened)
        )
    names = {"n_frames": "data.stored_frames", "sampling": "data.sampling"}
    of_pixels = {} if wanted.encoder else {"size_px": "data.size_px", "format": "data.format"}
    for field, setting in {**names, **of_pixels}.items():
        has, wants = getattr(opened.config, field), getattr(wanted, field)
        if has != wants:
            raise InputError(
                f"the pack {data} was made with {setting}={has}, and the run wants {wants}",
                f"Give --set {setting}={has}, or pack again with the run's preset",
            )
    return opened


def make_pack(
    out: Path,
    to: Path,
    config: PackConfig,
    workers: int = 4,
    say: Callable[[str], None] = lambda _: None,
    on_shard: Callable[[int, int], None] | None = None,
    encoder: ImageEncoder | None = None,
) -> Packed:
    """Pack `out` into `to`, after saying how many bytes that takes and asking whether the disk has them.

    The splits of `out` are copied on every call, so that one made later arrives by packing again. How long features
    take is said when some are made.

    Args:
        encoder: of features; None: looked up by the config's name.
    Raises:
        InputError: as pack.write.pack.
        WeightsError: the encoder of features is not there, or not fit.
        DiskFullError: the disk lacks the bytes; nothing was written.
    """
    if config.encoder:
        encoder = encoder or load_image_encoder(config.encoder)
        config = with_encoder(config, encoder)
    plan = plan_pack(out, config)
    n_bytes = plan.n_bytes
    there = sum(path.stat().st_size for path in (to / "shards").glob("*")) if (to / "shards").is_dir() else 0
    free, needed = shutil.disk_usage(_existing(to)).free, max(0, n_bytes - there)
    if needed > 0.01 * n_bytes + 1_000_000 or not there:
        about = "about " if config.format == "jpeg" else ""
        have = f", {size(there)} of it is there" if there else ""
        say(f"packing {out} to {to}: {about}{size(n_bytes)}{have}; {size(free)} are free")
        if needed > free:
            raise DiskFullError(
                f"the pack takes {size(needed)}, and the disk of {to} has {size(free)} free",
                "Free some space, name another disk" + ("" if encoder else ", or --set data.format=jpeg"),
            )
    on_clips = None
    if encoder:
        n_left, one = needed // config.clip_bytes, encoder
        pace = Pace(n_left, config.n_frames, config.clips_per_shard, lambda: f"{one.device} in {one.precision}", say)
        on_clips = pace.clips
    done = pack(out, to, config, workers, on_shard, encoder, on_clips, plan)
    for path in sorted((out / "splits").glob("*.parquet")):
        write_bytes(to / "splits" / path.name, path.read_bytes())
    return done


def with_encoder(config: PackConfig, encoder: ImageEncoder | None = None) -> PackConfig:
    """What a pack's own config is, of what a run asks for: of features, with the digest and sizes of their encoder.

    Args:
        encoder: None: looked up by its name, if there is one.
    Raises:
        WeightsError: it is not there, or not fit.
    """
    if not config.encoder:
        return config
    return of_encoder(config, encoder or load_image_encoder(config.encoder))


def read_split(pack: Pack, split: str | Path) -> Split:
    """The parts of the clips of a pack.

    Args:
        split: a name, looked up in the pack, or the path of a file.
    Raises:
        InputError: no such split, another kind of file, an unknown part, a clip twice, a clip of the pack without a
            part, or a part for clips that the pack does not have.
    """
    path = _split_path(pack, split)
    table = read_parquet(path, _SPLIT, "A split has the columns clip_id and part")
    part_of: dict[str, str] = dict(zip(table["clip_id"].to_pylist(), table["part"].to_pylist(), strict=True))
    if len(part_of) < table.num_rows:
        twice = Counter(table["clip_id"].to_pylist()).most_common(1)[0][0]
        raise InputError(f"{path}: clip {twice} stands there twice", "Make the split again: cgtool split")
    if unknown := sorted(set(part_of.values()) - set(PARTS)):
        raise InputError(f"{path}: {unknown[0]!r} is no part", f"Parts are {', '.join(PARTS)}")
    lacking = [clip_id for clip_id in pack.clip_ids if clip_id not in part_of]
    gone = len(part_of) - (len(pack) - len(lacking))
    if lacking or gone:
        faults = [f"{len(lacking)} clips of the pack have no part (first: {lacking[0]})"] if lacking else []
        faults += [f"{gone} parts are of clips that the pack does not have"] if gone else []
        raise InputError(
            f"the split {path} is not of this pack: {', and '.join(faults)}",
            "Make it anew with cgtool split OUT ... --replace, then run cgtool bench pack again",
        )
    parts = np.array([part_of[clip_id] for clip_id in pack.clip_ids])
    places = {part: np.flatnonzero(parts == part).astype(np.int64) for part in PARTS}
    found = {part: at for part, at in places.items() if len(at)}
    return Split(path.stem, fingerprint(sorted(part_of.items())), found, path if _is_file(split) else None)


def fold_names(pack: Pack, split: str | Path) -> tuple[str, ...]:
    """The splits that `split` stands for: itself, or NAME-fold0, NAME-fold1, ... where only these are there."""
    if _is_file(split) or (pack.folder / "splits" / f"{split}.parquet").is_file():
        return (str(split),)
    names: list[str] = []
    while (pack.folder / "splits" / f"{split}-fold{len(names)}.parquet").is_file():
        names.append(f"{split}-fold{len(names)}")
    return tuple(names) or (str(split),)


def same_data(run: RunDir, pack: Pack) -> bool:
    """Whether a run was made of the clips of a pack, and of its scene labels where the model looks at them."""
    known = run.record["data"]
    if known["fingerprint"] == pack.fingerprint:
        return True
    looks = run.model_config.scenes or find_model(run.config.model).needs_scenes
    return not looks and known.get("pixels") == pack.pixels


def cities_without_train(pack: Pack, parts: Mapping[Part, Places]) -> tuple[str, ...]:
    """Cities that no clip of `train` shows, by name: a model cannot learn them."""
    seen = set(pack.labels[parts["train"], 0].tolist()) if "train" in parts else set()
    return tuple(name for label, name in enumerate(pack.classes.names["city"]) if label not in seen)


def need_part(split: Split, part: str) -> Places:
    """The clips of a part.

    Raises:
        InputError: it has none.
    """
    if part not in split.parts:
        option = " --val 0.1" if part == "val" else ""
        raise InputError(
            f"the split {split.name} has no part {part}",
            f"Make one that has: cgtool split OUT --by video{option} --replace, then run cgtool bench pack again",
        )
    return split.parts[cast(Part, part)]


def _split_path(pack: Pack, split: str | Path) -> Path:
    if _is_file(split):
        return Path(split)
    path = pack.folder / "splits" / f"{split}.parquet"
    if not path.is_file():
        known = sorted(p.stem for p in (pack.folder / "splits").glob("*.parquet"))
        raise InputError(
            f"{pack.folder} has no split {split}; it has {', '.join(known) or 'none'}",
            "Make it with cgtool split OUT, then run cgtool bench pack again, which copies it",
        )
    return path


def _is_file(split: str | Path) -> bool:
    return isinstance(split, Path) or split.endswith(".parquet")


def _beside(out: Path, config: PackConfig) -> Path:
    """OUT.pack-<frames>x<size>, with what else differs from the usual; of features OUT.pack-<frames>-<encoder>."""
    whole = out.resolve()
    if config.encoder:  # two folders may have one name
        encoder = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', Path(config.encoder).name)}-{config.encoder_digest[:8]}"
        authors = "-authors" if config.sampling == "authors" else ""
        return whole.with_name(f"{whole.name}.pack-{config.n_frames}-{encoder}{authors}")
    more = ("-authors" if config.sampling == "authors" else "") + ("-jpeg" if config.format == "jpeg" else "")
    return whole.with_name(f"{whole.name}.pack-{config.n_frames}x{config.size_px}{more}")


def _other_features(pack: Pack) -> str:
    """What to do where a pack is of something else than the run wants."""
    if not pack.config.encoder:
        return "Pack with --features, or train a model that takes frames"
    return f"Give --set data.features={pack.config.encoder} with a model that takes features, or another pack"


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    whole = path.resolve()
    return next(folder for folder in (whole, *whole.parents) if folder.is_dir())
