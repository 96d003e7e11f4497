"""Clips a second of the loader over a pack of uint8 shards, and of a plain one that decodes JPEGs.

Both give the same clips: frames of real street films, 1280 x 720. The plain loader reads 16 JPEGs a clip with Pillow
and squeezes them in the main process, as the released code does; ours reads a clip's bytes and checks them. Pack and
JPEGs lie in memory (the page cache): what is compared is work, not disks.
"""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.document import Headline, Section, table
from benchmarks.footage import street_video
from cityguessr_bench.loader import Order, TrainingSteps, batches
from cityguessr_bench.pack.layout import PackConfig, shard_name
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.pack.write import read_frame
from cityguessr_bench.run_config import DataConfig
from cityguessr_bench.speed.material import write_pack
from cityguessr_bench.speed.plain import PlainClips, plain_batches
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.core.timing import Timing, interleaved, n_cores

TARGET = 20
_TIMES = 20
"""Clips a call, where parts are timed."""
WORKERS = (0, 1, 2)
PLAIN = "plain: Pillow, main process"


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Make films, JPEGs and a pack, and time both loaders in turns."""
    full = size == "full"
    n_films, n_clips, n_rows, n_epochs, batch, rounds = (6, 24, 240, 3, 12, 5) if full else (1, 2, 8, 1, 2, 2)
    config = PackConfig()
    frames, films = _street_frames(scratch, n_films, n_clips * config.n_frames)
    pack = write_pack(scratch / "pack", config, itertools.islice(itertools.cycle(_packed(frames, config)), n_rows))
    places = np.arange(len(pack), dtype=np.int64)
    steps = TrainingSteps(pack, Order(places, batch, 0), DataConfig())
    keys = range(n_epochs * steps.order.steps_per_epoch)
    clips = PlainClips(frames, config.n_frames, config.size_px, pack.labels)
    n_plain = n_clips // batch

    calls: dict[str, Callable[[], object]] = {_name(n): lambda n=n: _drain(batches(steps, keys, n)) for n in WORKERS}
    calls[PLAIN] = lambda: _drain(itertools.islice(plain_batches(clips, batch), n_plain))
    timings = interleaved(calls, rounds)
    counts = {name: n_plain * batch if name == PLAIN else n_epochs * len(pack) for name in calls}
    wall = {name: counts[name] / timing.wall_s for name, timing in timings.items()}
    cpu = {name: counts[name] / timing.cpu_s for name, timing in timings.items()}
    best = max((_name(n) for n in WORKERS), key=wall.__getitem__)
    ratio = wall[best] / wall[PLAIN]
    rows = [_row(name, timings[name], wall, cpu) for name in calls]
    needed_gb_s, pack_mb = wall[best] * config.clip_bytes / 1e9, len(pack) * config.clip_bytes / 1e6
    how = (
        f"{n_cores()} cores; medians of {rounds} rounds in turns; batches of {batch} clips of {config.n_frames}",
        f"frames; a round is {counts[best]:,} clips of ours and {counts[PLAIN]} of the plain loader. Threads read",
        f"ahead; with 0 the loop reads by itself. The frames are {len(frames)} JPEGs of {_mean_kb(frames):.0f} kB,",
        f"of {films}. The pack holds the same pictures, each clip {n_rows // n_clips} times in other rows,",
        f"{pack_mb:.0f} MB in all. It lies in the page cache; a disk that gives less than {needed_gb_s:.1f} GB/s",
        "would be the bound. Ours gives uint8, which the model scales; the plain loader gives floats, as the",
        "released code does.",
    )
    shares = [(name, f"{1e3 * timing.wall_s / _TIMES:.3f}") for name, timing in _parts(pack, rounds).items()]
    body = f"""
{table(("loader", "clips/s", "range", "clips per CPU second", "over plain", "by CPU"), rows)}

{" ".join(how)}

What reading one clip takes, each part alone in one thread (medians):

{table(("part", "ms"), shares)}

The sum over a clip's bytes is most of it, and stays: every clip is checked each time that it is read.
"""
    met = ratio >= TARGET if full else None
    value = f"{ratio:.0f}x ({wall[best]:,.0f} clips/s with {best}, {wall[PLAIN]:.1f} plain)"
    return Section("Loader", [Headline("loader / plain loader", value, f"{TARGET}x", met)], body)


def _parts(pack: Pack, rounds: int) -> dict[str, Timing]:
    """What reading a clip is made of, `_TIMES` clips a call."""
    path, config = pack.folder / shard_name(0, "uint8"), pack.config
    whole = np.empty(pack.clip_shape, np.uint8)
    start = path.stat().st_size - len(np.load(path, mmap_mode="r")) * config.clip_bytes
    n = min(len(pack), config.clips_per_shard)
    every = np.arange(config.n_frames)
    file = os.open(path, os.O_RDONLY)
    try:
        room = [whole.data.cast("B")]
        calls: dict[str, Callable[[], object]] = {
            "the bytes, from the page cache to the batch": lambda: [
                os.preadv(file, room, start + i * 7 % n * config.clip_bytes) for i in range(_TIMES)
            ],
            "their sum (CRC-32)": lambda: [zlib.crc32(whole) for _ in range(_TIMES)],
            "both, as Pack.read does it": lambda: [pack.read(i * 7 % n, every, whole) for i in range(_TIMES)],
        }
        return interleaved(calls, rounds)
    finally:
        os.close(file)


def _street_frames(scratch: Path, n_films: int, n_frames: int) -> tuple[list[Path], str]:
    """JPEGs at quality 95 of frames spread over some films, and what the films are."""
    each = -(-n_frames // n_films)
    paths: list[Path] = []
    names = []
    (scratch / "frames").mkdir()
    for which in range(n_films):
        video = scratch / f"{which}.mp4"
        names.append(street_video(video, each / 10 + 0.5, which=which))  # of 30 frames a second every third
        film = cv2.VideoCapture(str(video))
        for number in range(each):
            for _ in range(3):
                there, picture = film.read()
            if not there:
                raise RuntimeError(f"{video} ended after {number} of {each} frames")
            paths.append(scratch / "frames" / f"{which}_{number:04d}.jpg")
            cv2.imwrite(str(paths[-1]), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        film.release()
    return paths[:n_frames], ", ".join(sorted(set(names)))


def _packed(frames: Sequence[Path], config: PackConfig) -> list[npt.NDArray[np.uint8]]:
    """The clips of a pack of these frames: (T, 3, H, W) each."""
    files = FrameFiles(frames[0].parent)
    squeezed = [read_frame(files, path.name, config.size_px).transpose(2, 0, 1) for path in frames]
    return [np.stack(squeezed[at : at + config.n_frames]) for at in range(0, len(squeezed), config.n_frames)]


def _drain(items: Any) -> None:
    for _ in items:
        pass


def _name(workers: int) -> str:
    return f"{workers} thread{'' if workers == 1 else 's'}"


def _row(name: str, timing: Timing, wall: dict[str, float], cpu: dict[str, float]) -> list[str]:
    low, high = (wall[name] * timing.wall_s / seconds for seconds in reversed(timing.wall_range_s))
    over = [f"{rates[name] / rates[PLAIN]:.1f}x" for rates in (wall, cpu)]
    return [name, f"{wall[name]:,.1f}", f"{low:,.1f} to {high:,.1f}", f"{cpu[name]:,.1f}", *over]


def _mean_kb(paths: Sequence[Path]) -> float:
    return float(np.mean([path.stat().st_size for path in paths])) / 1e3
