"""A frame as the page shows it: the unblurred one where its source is at hand, else the saved, blurred one.

It is made when somebody asks and goes to the browser; nothing of it is written, not even to a temporary file.
"""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from ..core.errors import InputError, MediaError
from ..core.frame_files import FrameFiles, is_under
from ..media.pictures import read_picture
from ..run.store import Store
from .details import ClipDetail
from .unblurred import Unblurred

if TYPE_CHECKING:
    from ..core.types import RGB

WIDTHS = (320, 640, 1920)
"""px that a page may ask for; a smaller frame stays as it is."""

_AT_ONCE = 3
"""Frames decoded at the same time."""
_QUALITY = 90


class Frames:
    """May be shared by threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.unblurred = Unblurred(store)
        self.files = FrameFiles(store.out)
        self._broken: dict[str, str] = {}
        """Clip id -> why its source could not be decoded."""
        self._free = threading.Semaphore(_AT_ONCE)

    def why_blurred(self, unit: str, clip_id: str) -> str | None:
        """None where unblurred frames of a clip are shown, else one sentence that says why not."""
        return self._broken.get(clip_id) or self.unblurred.why_none(unit, clip_id)

    def jpeg(self, clip: ClipDetail, position: int, width_px: int = WIDTHS[-1]) -> bytes:
        """A frame as JPEG, at most `width_px` wide.

        Raises:
            InputError: the clip has no such frame, or its place in the table lies outside of OUT.
            MediaError: it cannot be decoded. Where that was the source, `why_blurred` says so from now on.
        """
        saved = self.saved(clip, position)
        with self._free:
            if self.why_blurred(clip.unit, clip.clip_id) is None:
                try:
                    return _encoded(self.unblurred.frame(clip.unit, clip.clip_id, position), width_px)
                except MediaError as exc:
                    self._broken[clip.clip_id] = f"its source cannot be decoded ({exc.message})"
                    raise
            return _encoded(read_picture(self.files, saved, None), width_px)

    def size_px(self, clip: ClipDetail, position: int) -> tuple[int, int]:
        """(width, height) of a saved frame, which boxes are told in."""
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(self.files.read(self.saved(clip, position)))) as picture:
                return picture.size
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
            return clip.width_px, clip.height_px

    def saved(self, clip: ClipDetail, position: int) -> str:
        """The path of a saved frame, relative to OUT.

        Raises:
            InputError: the clip has no such frame, or its place in the table lies outside of OUT.
        """
        told = clip.paths.get(position)
        if told is None:
            raise InputError(f"{clip.clip_id} has no frame {position}", f"It has {len(clip.paths)}")
        if not is_under(told):
            raise InputError(f"frame {position} of {clip.clip_id} lies outside of {self.store.out}", "Mend the table")
        return told


def _encoded(rgb: RGB, width_px: int) -> bytes:
    import cv2

    height, width = rgb.shape[:2]
    if width > width_px:
        size = (width_px, max(1, round(height * width_px / width)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    made, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not made:
        raise MediaError("the frame could not be encoded as JPEG")
    return bytes(encoded)
