"""Reads one saved frame: its bytes checked against the tables, its pixels whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import MediaError

if TYPE_CHECKING:
    from ..core.types import RGB


def read_picture(path: Path, sha256: str | None) -> RGB:
    """One saved frame, uint8 RGB (H, W, 3), upright by its EXIF orientation.

    Args:
        sha256: of the bytes it had when its row was written, where that is known.
    Raises:
        MediaError: it is not there, has other bytes, ends early or cannot be decoded; the message has its path.
    """
    import cv2

    try:
        content = path.read_bytes()
    except OSError as exc:
        raise MediaError(f"{path} cannot be read ({exc.strerror})", "Put it back") from exc
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise MediaError(f"{path} is not the frame that the table names (its SHA-256 differs)", "Put it back")
    # Some versions of OpenCV fill the rest of a cut JPEG with grey and say nothing
    cut = content.startswith(b"\xff\xd8") and b"\xff\xd9" not in content[-65_536:]
    picture = None if cut or not content else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{path} {'ends before its picture does' if cut else 'cannot be decoded as a picture'}")
    rgb: RGB = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    return rgb
