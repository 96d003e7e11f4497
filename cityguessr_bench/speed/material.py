"""What a measurement feeds on where there is no data: a pack of random clips, and pictures the size of street films.

How fast a network trains does not depend on what it is shown. How fast a JPEG is decoded does, so those pictures are as
rough as street films are: a file of about 200 kB at 1280 x 720.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityguessr_data.core.atomic import write_bytes, write_json, write_table
from cityguessr_data.core.errors import InputError, disk_full_stops
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS

from ..classes import Classes
from ..pack.layout import INDEX, VERSION, PackConfig, shard_name
from ..pack.read import Pack

_TAXONOMY = "cityguessr166"
_SIZE = (720, 1280)
_QUALITY = 95


def random_pack(folder: Path, config: PackConfig, n_clips: int, seed: int = 0) -> Pack:
    """A pack of noise in `folder`, as write_pack makes it.

    Raises:
        InputError, DiskFullError: as write_pack.
    """
    rng, shape = np.random.default_rng(seed), (config.n_frames, 3, config.size_px, config.size_px)
    return write_pack(folder, config, (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(n_clips)))


def write_pack(folder: Path, config: PackConfig, clips: Iterable[npt.NDArray[np.uint8]]) -> Pack:
    """Write a pack of clips that come from no data set: of the paper's 166 cities in turns, with random scene labels.

    Args:
        clips: (T, 3, H, W) each.
    Raises:
        InputError: the pack is to be of JPEGs or features.
        DiskFullError: no space left.
    """
    if config.format != "uint8":
        raise InputError(f"clips are made as uint8, not as {config.format}", "Name a pack to measure with")
    per_shard, source = config.clips_per_shard, iter(clips)
    rows: list[dict[str, object]] = []
    while some := list(itertools.islice(source, per_shard)):
        path = folder / shard_name(len(rows) // per_shard, config.format)
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk_full_stops(str(path)):
            np.save(path, block := np.ascontiguousarray(np.stack(some)))
        rows += [_row(len(rows) + at, per_shard, zlib.crc32(clip.data)) for at, clip in enumerate(block)]
    index = pa.Table.from_pylist(rows, schema=INDEX)
    write_table(folder / "index.parquet", index)
    Classes.of_clips(index).write(folder / "taxonomy.parquet")
    about = {"name": "made up", "fingerprint": "made up", "pixels": "made up", "n_clips": len(rows)}
    write_json(folder / "pack.json", {"version": VERSION, "config": dataclasses.asdict(config), **about})
    return Pack.open(folder)


def street_sized_frames(folder: Path, n: int, seed: int = 0) -> tuple[Path, ...]:
    """Write `n` JPEGs of 1280 x 720, of noise at three scales.

    Raises:
        DiskFullError: no space left.
    """
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(n):
        path = folder / f"{number:04d}.jpg"
        write_bytes(path, _jpeg(_rough(rng)))
        paths.append(path)
    return tuple(paths)


def _row(number: int, per_shard: int, crc32: int) -> dict[str, object]:
    """Of the index."""
    cities = _taxonomy().cities
    place = cities[number % len(cities)]
    return {
        **{level: getattr(place, level) for level in LEVELS},
        "clip_id": f"made_up_{number:05d}",
        "video_id": "made_up",
        "scene_soft": np.random.default_rng(number).dirichlet(np.full(16, 0.3)).astype(np.float32).tolist(),
        "shard": number // per_shard,
        "row": number % per_shard,
        "crc32": crc32,
    }


@cache
def _taxonomy() -> Taxonomy:
    return Taxonomy.named(_TAXONOMY)


def _rough(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    import cv2

    height, width = _SIZE
    picture = np.full((height, width, 3), 128, np.float32)
    for cells, depth in ((8, 40.0), (60, 20.0), (360, 6.0)):
        coarse = rng.normal(0, depth, (cells * height // width, cells, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    import cv2

    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    content: bytes = encoded.tobytes()
    return content
