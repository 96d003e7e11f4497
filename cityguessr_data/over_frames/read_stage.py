"""Reads saved frames from a disk, in place of downloading and decoding a video. It opens files for reading only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ..core.errors import MediaError
from ..core.frame_files import FrameFiles
from ..core.types import Clip, LocalVideo, Place, SampledFrame
from ..media.pictures import read_picture
from ..run.stage import VideoJob
from .units import FOUND, check_clip_id, rows_by_clip

UNASKED = Place("", "", "", "")


@dataclass(frozen=True)
class NamedClip(Clip):
    """A clip whose id was given by an importer and need not follow the rule of builds."""

    name: str = ""

    @property
    def clip_id(self) -> str:
        """As given."""
        return self.name


class ReadStage:
    """LocalVideo, whose path is a table (FOUND) of a unit's frames -> SampledFrame, clip after clip by position.

    Only pixels and their place go on: what else the tables say of a frame is the writer's to carry over.

    Args:
        out: the output directory, which relative paths start from.
        outside: frames must lie elsewhere, by absolute paths: the originals of an import.
    """

    name = "decode"
    version = 1
    lane = "decode"

    def __init__(self, out: Path, *, outside: bool) -> None:
        self.out = out.resolve()
        self.files = FrameFiles(self.out)
        self.outside = outside

    def open(self) -> None:
        """Nothing to load."""

    def remarks(self) -> Sequence[str]:
        """None."""
        return ()

    def run(self, job: VideoJob, items: Iterator[LocalVideo]) -> Iterator[SampledFrame]:
        """See Stage.run.

        Raises:
            MediaError: a frame is missing, was changed, or cannot be decoded; the message has its path.
        """
        for source in items:
            frames = pq.read_table(source.path, columns=FOUND)
            job.expect(frames.num_rows, frames.num_rows)
            positions, paths, digests = (frames[name].to_pylist() for name in FOUND[1:])
            for index, (clip_id, rows) in enumerate(rows_by_clip(frames).items()):
                clip = NamedClip(job.task.video_id, index, 0, len(rows), UNASKED, name=check_clip_id(clip_id))
                for row in rows:
                    rgb = read_picture(self.files, self._checked(paths[row]), digests[row])
                    job.tick(self.name, 1)
                    yield SampledFrame(clip, positions[row], 0, 0.0, rgb)

    def _checked(self, path: str) -> str:
        place = Path(path)
        if self.outside and (not place.is_absolute() or self.out in place.resolve().parents):
            raise MediaError(
                f"the frame {path} lies under {self.out}, where no original may be", "Import it from elsewhere"
            )
        return path
