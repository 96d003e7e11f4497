"""Pictures and videos anywhere under OUT but in clips/ and the preview: an unblurred one could be among them.

Files are known by their first bytes, whatever their names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..run.store import Store
from .findings import Fault, Findings
from .leftovers import written_folders
from .own import is_own_partial

_CHECK = "pictures"
_HEAD_BYTES = 512
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG"),
    (b"\x89PNG\r\n", "a PNG"),
    (b"GIF8", "a GIF"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"FLV\x01", "an FLV video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
    (b"\x00\x00\x00\x01\x67", "an H.264 video"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"DKIF", "an IVF video"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\x30\x26\xb2\x75", "an ASF video"),
)
_TS_PACKET_BYTES = 188
_PREVIEW = "preview.jpg"


def picture_kind(head: bytes) -> str | None:
    """What the first bytes of a file say it is, where that is a picture or a video; else None."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[4:8] in (b"ftyp", b"moov", b"mdat") or head[4:12] == b"jP  \r\n\x87\n":
        return "an MP4, MOV, HEIF or AVIF"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WEBP"):
        return "an AVI or WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "a BMP"
    if all(head[at : at + 1] == b"G" for at in (0, _TS_PACKET_BYTES, 2 * _TS_PACKET_BYTES)):
        return "a transport stream"
    if head[257:262] == b"ustar":
        return "a tar"
    return None


def check_pictures(store: Store, findings: Findings) -> None:
    """See the module. What is staged is blurred, and told by another check."""
    for path in _elsewhere(store):
        told = path.relative_to(store.out).as_posix()
        findings.looked(_CHECK)
        try:
            with path.open("rb") as stream:
                head = stream.read(_HEAD_BYTES)
        except OSError as exc:
            findings.add(Fault(_CHECK, told, f"cannot be read ({exc.strerror})", "person", hint="See who may read it"))
            continue
        kind = picture_kind(head)
        if told == _PREVIEW:
            if kind != "a JPEG":
                findings.add(Fault(_CHECK, told, "is no JPEG", "assemble"))
        elif kind is not None:
            hint = "cgtool never writes one there, and nobody has blurred it: move it out of the data set"
            findings.add(Fault(_CHECK, told, f"is {kind}", "person", hint=hint))


def _elsewhere(store: Store) -> Iterator[Path]:
    skipped = {store.out / "clips", *(store.work / name for name in ("staging", "ready", "trash", "manifests"))}
    if store.copy is not None:
        skipped.add(store.work / "fetched")  # tars of clips/ that were read from the object store
    written = set(written_folders(store))  # what is half written there is told by another check
    for folder, folders, names in os.walk(store.out):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here / name not in skipped)
        for name in sorted(names):
            path = here / name
            if path.is_file() and not (here in written and is_own_partial(name)):
                yield path
