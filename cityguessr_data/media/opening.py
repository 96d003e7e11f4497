"""Opens one local video file, and nothing else: no playlist, no other file, no host, and no more memory than is fair.

ffmpeg would follow an ffconcat or a playlist that is named .mp4, so formats and protocols are whitelisted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import av
import av._core
import av.error

from ..core.errors import MediaError
from .limits import MAX_ALLOCATION_BYTES, MAX_PADDED_PIXELS, check_pixels

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,wmv,h264,hevc,ivf,m4v,mpegvideo,gif"


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container of `path` and its video stream, set to decode in threads.

    Raises:
        MediaError: no such container, no video stream, or pictures larger than are decoded.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.thread_type = "AUTO"
        yield container, stream


def open_container(path: Path) -> Any:
    """The container of `path`, a context manager.

    Raises:
        MediaError: it is not there, or is none that can be opened.
    """
    if not path.is_file():
        raise MediaError(f"{path} is not there")
    _limit_allocations()
    limit = {"max_pixels": str(MAX_PADDED_PIXELS)}  # pictures are decoded while a file is opened
    whitelists = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        return av.open(f"file:{path.resolve()}", options=limit, container_options=whitelists, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as exc:
        raise MediaError(f"{path.name} is not a video file that can be opened ({reason(exc)})") from exc


def video_stream(container: Any, path: Path) -> Any:
    """The first video stream that is no cover picture.

    Raises:
        MediaError: there is none, or its pictures are larger than are decoded.
    """
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic and stream.codec_context is not None:
            context = stream.codec_context
            check_pixels(path.name, context.width, context.height)
            context.options = {"max_pixels": str(MAX_PADDED_PIXELS)}  # they may grow later on
            return stream
    raise MediaError(f"{path.name} has no video stream that can be decoded (audio only?)")


def packets_of(container: Any, stream: Any) -> Iterator[Any]:
    """Every packet of `stream` and the empty one that ends it.

    Raises:
        FFmpegError: the file breaks; nothing more comes.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        # After the last packet, PyAV (18.1) looks for streams that began in mid-file among those it knows
        return


def reason(exc: BaseException) -> str:
    """What ffmpeg says, in its words."""
    if isinstance(exc, av.error.MemoryError):
        return f"it asks for more than {MAX_ALLOCATION_BYTES >> 20} MiB at once"
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__


@cache
def _limit_allocations() -> None:
    """Bound what PyAV's ffmpeg asks for at once, for this process: tables and pictures of the size that a header says.

    `max_pixels` does not reach all: what is decoded to open a transport stream has no options. Where the library
    cannot be reached (it is linked in otherwise), its own bound of 2 GiB stays.
    """
    try:
        set_limit = ctypes.CDLL(av._core.__file__).av_max_alloc
    except (OSError, AttributeError):
        return
    set_limit.argtypes, set_limit.restype = (ctypes.c_size_t,), None
    set_limit(MAX_ALLOCATION_BYTES)
