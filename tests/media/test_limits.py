"""What a header declares is read as the decoders read it, and nothing too large is decoded, by whoever decodes."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cityguessr_bench.pack.shard import _decoded
from cityguessr_bench.pack.write import read_frame
from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.importers.frame_check import check_frame
from cityguessr_data.media.limits import MAX_PIXELS, picture_fault, picture_size
from cityguessr_data.media.pictures import read_picture
from cityguessr_data.publish.preview_pick import _small

DECLARED = "60000 x 60000"


def encoded(kind: str, width: int = 48, height: int = 32, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def jpeg_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A whole JPEG of 48 x 32 whose header says otherwise."""
    content = encoded("JPEG")
    at = content.index(b"\xff\xc0")
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]


def png_bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(180_001) * 50)
    chunks = (header, b"IDAT" + rows, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


@pytest.mark.parametrize(
    "content",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True),
        encoded("JPEG", comment=b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff"),  # a frame header inside a comment is none
        encoded("JPEG", exif=b"Exif\0\0" + encoded("JPEG", 16, 16)),
        encoded("PNG"),
        jpeg_bomb(),
        encoded("JPEG")[:2] + b"\xff\xff\xff" + encoded("JPEG")[2:],  # fill bytes
    ],
)
def test_the_size_is_what_another_reader_finds(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture_size(content) == picture.size


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 7)), max_size=4), st.booleans())
def test_what_opencv_decodes_is_of_the_size_that_was_read(flips: list[tuple[int, int]], png: bool) -> None:
    """Damage in the header, small enough that no size explodes: the two readers never differ."""
    content = bytearray(encoded("PNG" if png else "JPEG"))
    for at, bit in flips:
        content[at] ^= 1 << bit
    size = picture_size(bytes(content))
    if size is not None and size[0] * size[1] > 1 << 22:
        return
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is not None:
        assert size is not None
        assert sorted(picture.shape[:2]) == sorted(size)  # a damaged EXIF may turn it


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\x00\x11", b"GIF89a"]
)
def test_no_picture_has_no_size(content: bytes) -> None:
    assert picture_size(content) is None
    assert picture_fault(content) == "is no picture"


def test_the_limit_itself_is_still_decoded() -> None:
    assert picture_fault(jpeg_bomb(8192, 4352)) is None
    assert picture_fault(jpeg_bomb(8192, 4353)) is not None
    assert MAX_PIXELS == 35_651_584, "the largest picture of H.264 level 6.2 is 139,264 blocks of 16 x 16"


@pytest.mark.parametrize("content", [jpeg_bomb(), png_bomb()])
def test_every_reader_of_pictures_refuses_a_bomb_by_its_header(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.jpg"
    path.write_bytes(content)
    files = FrameFiles(tmp_path)
    with pytest.raises(MediaError, match=DECLARED):
        read_picture(files, "bomb.jpg", None)
    with pytest.raises(InputError, match=DECLARED):
        read_frame(files, "bomb.jpg", 32)
    with pytest.raises(ValueError, match=DECLARED):
        _decoded(content)
    with pytest.raises(OSError, match=DECLARED):
        _small(content, 100)
    if content.startswith(b"\xff\xd8"):
        assert DECLARED in str(check_frame(path))


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """In a process with 2 GiB of address space: the pixels would be 10 GB."""
    (tmp_path / "bomb.jpg").write_bytes(jpeg_bomb())
    code = (
        "import resource, sys; from pathlib import Path\n"
        "import cv2, numpy; from cityguessr_data.importers.frame_check import check_frame\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "print(check_frame(Path(sys.argv[1])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.jpg")], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert DECLARED in done.stdout, done.stderr
