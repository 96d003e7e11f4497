"""Reads one saved frame: its bytes checked against the tables, its pixels whole or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import MediaError
from ..core.frame_files import FrameFiles
from .limits import picture_fault

if TYPE_CHECKING:
    from ..core.types import RGB


def read_picture(files: FrameFiles, path: str, sha256: str | None) -> RGB:
    """One saved frame, uint8 RGB (H, W, 3), upright by its EXIF orientation.

    Args:
        path: as the frames table has it.
        sha256: of the bytes it had when its row was written, where that is known.
    Raises:
        MediaError: it is not there, has other bytes, ends early or cannot be decoded; the message has its path.
    """
    import cv2

    told = files.out / path
    try:
        content = files.read(path)
    except OSError as exc:
        raise MediaError(f"{told} cannot be read ({exc.strerror})", "Put it back") from exc
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise MediaError(f"{told} is not the frame that the table names (its SHA-256 differs)", "Put it back")
    # Some versions of OpenCV fill the rest of a cut JPEG with grey and say nothing
    cut = content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-65_536:]
    fault = "ends before its picture does" if cut else picture_fault(content)
    picture = None if fault else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{told} {fault or 'cannot be decoded as a picture'}")
    rgb: RGB = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    return rgb
