"""The synthetic world as a whole: its cities, one frame of it, or all its videos with a sources table and the truth."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.taxonomy import Taxonomy

from .config import SyntheticConfig, pick_cities
from .encode import write_video
from .look import video_look
from .render import VideoRenderer
from .route import video_route
from .style import CityStyle, city_styles

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

_NUISANCES = [
    "time",
    "ambient",
    "fog_per_m",
    "rain",
    "tint",
    "gamma",
    "noise",
    "camera_m",
    "fov_deg",
    "horizon",
    "lateral_m",
    "sway",
    "speed_mps",
    "traffic",
    "people",
]

TRUTH = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("city", pa.string(), nullable=False),
        pa.field("start_frame", pa.int64(), nullable=False),
        pa.field("end_frame", pa.int64(), nullable=False),
        pa.field("scene", pa.int16(), nullable=False),
        *(pa.field(name, pa.float64()) for name in _NUISANCES if name not in ("time", "rain", "tint")),
        pa.field("time", pa.string()),
        pa.field("rain", pa.bool_()),
        pa.field("tint", pa.list_(pa.float64())),
    ]
)
"""truth.parquet: one row a run of frames with one scene (Places365 category, 0-364; end_frame exclusive), with the
video's nuisance parameters (units as in VideoLook)."""


@dataclass(frozen=True)
class World:
    """The cities of a config, in order, with their styles. Make one with `build_world`."""

    config: SyntheticConfig
    cities: tuple[str, ...]
    styles: tuple[CityStyle, ...]

    def video_id(self, city: int, video: int) -> str:
        """Name of a video, safe for file names."""
        return f"synthetic_{self.cities[city]}_{video:02d}"

    def renderer(self, city: int, video: int) -> VideoRenderer:
        """What makes the frames of one video; keep it for several frames of the same video."""
        config = self.config
        if not (0 <= city < config.cities and 0 <= video < config.videos):
            raise ValueError(f"expected city < {config.cities} and video < {config.videos}, got {city} and {video}")
        return VideoRenderer(config, self.styles[city], city, video)

    def truth(self, city: int, video: int) -> list[dict[str, Any]]:
        """The rows of truth.parquet of one video."""
        look = video_look(self.config, city, video)
        scenes = video_route(self.config, look, city, video).scenes(self.config.frames_per_video)
        edges = [0, *(np.flatnonzero(np.diff(scenes)) + 1).tolist(), len(scenes)]
        nuisances = {name: getattr(look, name) for name in _NUISANCES} | {"tint": list(look.tint)}
        return [
            {
                "video_id": self.video_id(city, video),
                "city": self.cities[city],
                "start_frame": start,
                "end_frame": end,
                "scene": int(scenes[start]),
                **nuisances,
            }
            for start, end in pairwise(edges)
        ]


def build_world(config: SyntheticConfig) -> World:
    """Choose the cities from the taxonomy cityguessr166, spread over continents, and deal their styles."""
    places = {place.city: place for place in Taxonomy.named("cityguessr166").cities}
    cities = pick_cities({name: place.continent for name, place in places.items()}, config.cities, config.seed)
    return World(config, cities, city_styles(config, tuple(places[city].country for city in cities)))


def render_frame(config: SyntheticConfig, city: int, video: int, frame: int) -> RGB:
    """One frame, uint8 RGB, shape (height, width, 3): a pure function of its arguments.

    It draws the video's textures anew (0.2-2 s); for many frames of a video keep `build_world(config).renderer(...)`.
    """
    return build_world(config).renderer(city, video).frame(frame)


def write_world(config: SyntheticConfig, out_dir: Path, workers: int = 1) -> Path:
    """Write all videos as H.264 MP4, with sources.csv and truth.parquet beside them.

    Args:
        out_dir: a folder, made if missing.
        workers: processes that render videos beside each other.

    Returns:
        The path of sources.csv, whose urls are file names relative to it.
    """
    world = build_world(config)
    out_dir.mkdir(parents=True, exist_ok=True)
    jobs = [(city, video) for city in range(config.cities) for video in range(config.videos)]
    job = partial(_write_one, world, out_dir)
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(job, jobs))
    else:
        for each in jobs:
            job(each)
    rows = [row for city, video in jobs for row in world.truth(city, video)]
    pq.write_table(pa.Table.from_pylist(rows, schema=TRUTH), out_dir / "truth.parquet")
    sources = out_dir / "sources.csv"
    with sources.open("w", newline="", encoding="utf-8") as f:
        table = csv.writer(f, lineterminator="\n")
        table.writerow(["url", "city", "video_id"])
        table.writerows((f"{world.video_id(c, v)}.mp4", world.cities[c], world.video_id(c, v)) for c, v in jobs)
    return sources


def _write_one(world: World, out_dir: Path, job: tuple[int, int]) -> None:
    city, video = job
    renderer = world.renderer(city, video)
    write_video(_frames(renderer), out_dir / f"{world.video_id(city, video)}.mp4", world.config.fps)


def _frames(renderer: VideoRenderer) -> Iterator[RGB]:
    return (renderer.frame(i) for i in range(renderer.config.frames_per_video))
