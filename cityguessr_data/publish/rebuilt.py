"""What a build from exported links came to: which clips are those of the table, and which changed at their source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..core.types import Clip, SourceRow, VideoTask
from ..run.store import Store, read_part
from .frames import clip_digest, rows_of
from .links import CLIP_DIGEST, SOURCE_DIGEST


@dataclass(frozen=True)
class Rebuilt:
    """The clips that a table names by number, of the videos that are committed."""

    n_named: int
    changed: tuple[str, ...]
    """Ids of clips whose frames are not those that the table has the digest of."""
    missing: tuple[str, ...]
    """Ids of clips that are not there: their spans no longer hold one, or they were removed."""
    sources: tuple[str, ...]
    """Ids of videos whose file is not the one that the table has the digest of."""

    @property
    def n_same(self) -> int:
        """Clips that are there and not known to differ."""
        return self.n_named - len(self.changed) - len(self.missing)


def compare(store: Store, tasks: Iterable[VideoTask]) -> Rebuilt | None:
    """Compare what OUT holds with what a table told of it; None where the table names no clip by its number.

    Args:
        tasks: what the table asks for. Videos that are not committed are passed over: they are told elsewhere.
    """
    numbered = [task for task in tasks if any(row.clip_index is not None for row in task.rows)]
    if not numbered:
        return None
    n_named = 0
    changed: list[str] = []
    missing: list[str] = []
    sources: list[str] = []
    for task in numbered:
        if not store.part("clips", task.video_id).exists():
            continue
        built = set(read_part(store.part("clips", task.video_id), ["clip_id"])["clip_id"].to_pylist())
        digests = dict(_digests(store, task, built))
        for row in task.rows:
            clip_id = _clip_id(task, row)
            n_named += 1
            told = row.extra.get(CLIP_DIGEST)
            if clip_id not in built:
                missing.append(clip_id)
            elif told and told != digests[clip_id]:
                changed.append(clip_id)
        if _is_other_source(store, task):
            sources.append(task.video_id)
    return Rebuilt(n_named, tuple(changed), tuple(missing), tuple(sources))


def _digests(store: Store, task: VideoTask, built: set[str]) -> Iterator[tuple[str, str]]:
    if any(row.extra.get(CLIP_DIGEST) for row in task.rows):
        for clip_id, frames in rows_of(store, task.video_id).items():
            if clip_id in built:
                yield clip_id, clip_digest(frame["sha256"] for frame in frames)


def _is_other_source(store: Store, task: VideoTask) -> bool:
    told: Sequence[str] = [text for row in task.rows if (text := row.extra.get(SOURCE_DIGEST))]
    found = read_part(store.part("videos", task.video_id), ["sha256"])["sha256"].to_pylist()
    return bool(told and found and found[0]) and found[0] not in told


def _clip_id(task: VideoTask, row: SourceRow) -> str:
    return Clip(task.video_id, row.clip_index or 0, 0, 0, row.place).clip_id
