"""Compares saved frames with the kept source: the frame of its number, and inside the boxes blurred as recorded.

Without a kept source nothing can be compared; that is told, and is no fault.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..core.errors import MediaError
from ..core.frame_files import FrameFiles
from ..core.words import n_of
from ..media.pictures import read_picture
from ..review.decisions import Box
from ..review.state import box_of
from ..review.unblurred import Place, Unblurred
from .asked import Asked
from .compare import decoded, differences, expected_jpeg
from .findings import Fault, Findings
from .unit import UnitTables

if TYPE_CHECKING:
    from ..core.types import RGB

_CHECK = "sources"


class SourceCheck:
    """Compares unit by unit.

    Args:
        frames_a_video: how many of each unit; None: all.
    """

    def __init__(
        self, unblurred: Unblurred, files: FrameFiles, asked: Asked, frames_a_video: int | None, findings: Findings
    ) -> None:
        self.unblurred, self.files, self.asked, self.findings = unblurred, files, asked, findings
        self.frames_a_video = frames_a_video
        self.n_units = 0
        self._without: Counter[str] = Counter()

    def check(self, unit: UnitTables) -> None:
        """Compare some or all frames of a unit; a source that was brought here for it is let go again."""
        if self.asked.blur is None:
            return
        try:
            self._check(unit)
        finally:
            self.unblurred.sources.let_go()

    def _check(self, unit: UnitTables) -> None:
        boxes = blurred_boxes(unit)
        rows = self._comparable(unit)
        if not rows:
            return
        self.n_units += 1
        if self.frames_a_video is None:
            places: Iterable[Place] = rows
            unblurred = self.unblurred.frames(unit.name, places)
        else:
            places = pick(rows, boxes, self.frames_a_video)
            unblurred = ((place, self.unblurred.frame(unit.name, *place)) for place in places)
        try:
            for place, rgb in unblurred:
                self.findings.looked(_CHECK)
                self._compare(unit.name, place, rgb, boxes.get(place, ()), *rows[place])
        except MediaError as exc:
            self._without[f"its source cannot be decoded ({exc.message})"] += 1

    def end(self) -> None:
        """All units were given: say how many were compared, and how many could not be."""
        if self.frames_a_video is not None and self.n_units:
            told = f"{n_of(self.frames_a_video, 'frame')} of each of {n_of(self.n_units, 'video')}"
            told += " were compared with its source"
            self.findings.notes.append(f"{told}; --sources all compares every frame")
        for why, n in sorted(self._without.items()):
            told = "was" if n == 1 else "were"
            self.findings.notes.append(f"{n_of(n, 'video')} {told} not compared with a source: {why}")

    def _comparable(self, unit: UnitTables) -> dict[Place, tuple[str, str | None]]:
        """Path and digest of the frames whose source is at hand."""
        blurred = [clip["clip_id"] for clip in unit.clips if clip["blur"] is not None]
        whys = {clip_id: self.unblurred.why_none(unit.name, clip_id) for clip_id in blurred}
        at_hand = {clip_id for clip_id, why in whys.items() if why is None}
        if lacking := [why for why in whys.values() if why is not None]:
            self._without[lacking[0]] += 1
        columns = (unit.frames[name] for name in ("clip_id", "position", "path", "sha256"))
        return {
            (clip_id, position): (path, sha256)
            for clip_id, position, path, sha256 in zip(*columns, strict=True)
            if clip_id in at_hand
        }

    def _compare(
        self, unit: str, place: Place, source: RGB, boxes: Sequence[Box], path: str, sha256: str | None
    ) -> None:
        wrong = self._wrong(path, sha256, source, boxes)
        if wrong and self.frames_a_video is not None:
            # Seeking may land elsewhere in a damaged or odd file: only a decoding from the start is a proof
            for _, rgb in self.unblurred.frames(unit, [place]):
                wrong = self._wrong(path, sha256, rgb, boxes)
        if wrong:
            self.findings.add(Fault(_CHECK, path, "; ".join(wrong), "frame", unit))

    def _wrong(self, path: str, sha256: str | None, source: RGB, boxes: Sequence[Box]) -> list[str]:
        assert self.asked.blur is not None
        jpeg = expected_jpeg(source, boxes, self.asked.blur, self.asked.jpeg_quality)
        try:
            content = self.files.read(path)
            if content == jpeg or (sha256 and hashlib.sha256(content).hexdigest() != sha256):
                return []  # as it should be, or another file, which is told by the check of its bytes
            saved = read_picture(self.files, path, None)
        except OSError:
            return []  # told there too
        except MediaError:
            return ["cannot be decoded as a picture"]
        return differences(saved, source, decoded(jpeg), boxes, self.asked.blur)


def blurred_boxes(unit: UnitTables) -> dict[Place, list[Box]]:
    """The boxes that were blurred in each frame, in the order of the table, which is that of blurring."""
    boxes: dict[Place, list[Box]] = defaultdict(list)
    for face in unit.faces:
        if face["blurred"]:
            boxes[face["clip_id"], face["position"]].append(box_of(face))
    return boxes


def pick(places: Iterable[Place], with_boxes: Iterable[Place], n: int) -> list[Place]:
    """Up to n frames, the same ones every time: half of them with a blurred box, where there are such, others any."""
    ordered = sorted(places, key=_shuffled)
    boxed = set(with_boxes)
    first = [place for place in ordered if place in boxed][: (n + 1) // 2]
    rest: Iterator[Place] = (place for place in ordered if place not in set(first))
    return sorted([*first, *(place for place, _ in zip(rest, range(n - len(first)), strict=False))])


def _shuffled(place: Place) -> bytes:
    return hashlib.blake2b(f"{place[0]}/{place[1]}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
