"""What a file may ask of this machine. Honest videos and pictures stay far below; a hostile one says 65,535 x 65,535.

Everything that decodes asks here before memory is taken: a header of twenty bytes can ask for all there is.
"""

from __future__ import annotations

from ..core.errors import MediaError

MAX_PIXELS = 8192 * 4352
"""Of one picture: the largest that the highest levels of H.264, HEVC and AV1 allow (6.2, 6.2, 6.3). 107 MB as RGB."""
MOST_PX = "no more than 8192 x 4352 px"
MAX_PADDED_PIXELS = MAX_PIXELS * 11 // 10
"""The same for a decoder, which rounds both sides up to whole blocks."""
MAX_FRAMES = 5_000_000
"""Of one video: 23 hours at 60 frames a second. Their times take 500 MB while they are sorted."""
MAX_DURATION_S = 366 * 86_400.0
"""From the first frame to the last. Longer is a clock that jumped or lies, and would be counted as footage."""
MAX_ALLOCATION_BYTES = 256 << 20
"""What ffmpeg may ask for at once: a picture of MAX_PIXELS in 16-bit 4:4:4 has 214 MB."""


def check_pixels(name: str, width: int, height: int) -> None:
    """See that a picture of `width` x `height` may be decoded.

    Raises:
        MediaError: it is larger than MAX_PIXELS; the message begins with `name`.
    """
    if width * height > MAX_PIXELS:
        raise MediaError(f"{name} declares {width} x {height} px: too large, {MOST_PX} are decoded")


def picture_fault(content: bytes) -> str | None:
    """Why the bytes of a saved or imported frame are not decoded, by their header alone; None where they may be."""
    size = picture_size(content)
    if size is None:
        return "is no picture"
    if size[0] * size[1] > MAX_PIXELS:
        return f"declares {size[0]} x {size[1]} px: too large, {MOST_PX} are decoded"
    return None


def picture_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) that the header of a JPEG or PNG declares, as stored; None of anything else.

    A JPEG is walked as libjpeg does it, marker by marker up to the first frame header, so that both see the same one.
    """
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR" and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if not content.startswith(b"\xff\xd8"):
        return None
    at = 2
    while (at := content.find(b"\xff", at)) >= 0:
        while content[at : at + 1] == b"\xff":
            at += 1
        marker = content[at : at + 1]
        at += 1
        if not marker or marker in _NO_PICTURE:
            return None
        if marker in _NO_LENGTH:
            continue
        if marker in _FRAME_HEADERS:
            height, width = content[at + 3 : at + 5], content[at + 5 : at + 7]
            return (int.from_bytes(width, "big"), int.from_bytes(height, "big")) if len(width) == 2 else None
        at += int.from_bytes(content[at : at + 2], "big")
    return None


_FRAME_HEADERS = frozenset(bytes([marker]) for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))
_NO_LENGTH = frozenset(bytes([marker]) for marker in (0x00, 0x01, *range(0xD0, 0xD8)))
_NO_PICTURE = frozenset((b"\xd8", b"\xd9", b"\xda"))
"""A second start, the end, and data without a frame header before."""
