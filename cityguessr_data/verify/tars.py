"""A tar of ours holds its members and nothing else, in any byte: each once, headers as they are written, zeros between.

What a reader of tars passes over could hold anything, such as a frame as it was before it was blurred.
"""

from __future__ import annotations

import tarfile
from typing import BinaryIO

from ..core.frame_files import FrameFiles

_CHUNK_BYTES = 1 << 20


def tar_oddity(files: FrameFiles, told: str) -> str | None:
    """What is in a tar that a build (run/frame_sink.py) would not have written; None where there is nothing.

    Raises:
        OSError: it is not there or cannot be read.
    """
    with files.stream(told) as stream:
        n_bytes = stream.seek(0, 2)
        stream.seek(0)
        try:
            return _oddity(stream, n_bytes)
        except tarfile.TarError as exc:
            return f"is no whole tar ({exc})"


def _oddity(stream: BinaryIO, n_bytes: int) -> str | None:
    seen, end = set[str](), 0
    with tarfile.open(fileobj=stream, mode="r:") as opened:
        for info in opened:
            if not info.isreg() or info.issparse():
                return f"has a member {info.name} that is no file"
            if info.name in seen:
                return f"has two members {info.name}"
            seen.add(info.name)
            plain = tarfile.TarInfo(info.name)
            plain.size, plain.mode = info.size, 0o644
            back = stream.tell()
            stream.seek(end)
            header = stream.read(info.offset_data - end)
            if header != plain.tobuf(tarfile.PAX_FORMAT):
                return f"has a header at {info.name} that is not as it was written"
            stream.seek(info.offset_data + info.size)
            end = info.offset_data + info.size + -info.size % tarfile.BLOCKSIZE
            if any(stream.read(end - info.offset_data - info.size)):
                return f"has bytes after {info.name}"
            stream.seek(back)
    whole = end + 2 * tarfile.BLOCKSIZE
    whole += -whole % tarfile.RECORDSIZE
    stream.seek(end)
    while chunk := stream.read(_CHUNK_BYTES):
        if any(chunk):
            return "has bytes after its end"
    return None if n_bytes == whole else f"is {n_bytes:,} bytes, its members and its end are {whole:,}"
