"""What an output directory holds and lacks, read from its parts; and dropping the cache that belongs to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from .core.errors import InputError
from .run.ledger import LastFailure, last_failures
from .run.store import Store


@dataclass(frozen=True)
class Status:
    """What a data set holds. Counts are of committed videos, also of those whose manifests are not written yet."""

    out: Path
    asked: int
    """Videos that the last run was asked for."""
    done: int
    dropped: dict[str, int]
    """By reason."""
    gone: tuple[LastFailure, ...]
    """Permanent failures."""
    retryable: tuple[LastFailure, ...]
    pending: int
    """Asked for, not tried yet or interrupted."""
    extra: int
    """Committed, and not among those the last run was asked for."""
    clips: int
    frames: int
    faces_blurred: int
    cache: Path | None
    cache_bytes: int
    config: dict[str, object] = field(default_factory=dict)


def read_status(out: Path) -> Status:
    """Read the status of `out`.

    Raises:
        InputError: it is not an output directory.
    """
    store = Store(out)
    dataset = store.dataset()
    if dataset is None:
        raise InputError(f"{out} is not an output directory (it has no dataset.json)", "Name the --out of a build")
    committed = store.committed()
    plan = store.plan()
    asked = {video_id for video_id, _ in plan.get("videos", [])} or set(committed)
    failures = {video_id: f for video_id, f in last_failures(store).items() if video_id in asked}
    dropped: Counter[str] = Counter()
    clips = frames = faces = 0
    for video_id in committed:
        row = pq.read_table(store.part("videos", video_id), columns=["status", "reason"]).to_pylist()[0]
        if row["status"] == "dropped":
            dropped[str(row["reason"]).partition(":")[0]] += 1
        table = pq.read_table(store.part("clips", video_id), columns=["n_sampled", "n_faces"]).to_pydict()
        clips += len(table["n_sampled"])
        frames += sum(table["n_sampled"])
        faces += sum(table["n_faces"])
    cache = Path(plan["cache"]) if "cache" in plan else None
    failed = [f for f in failures.values() if f.video_id not in committed]
    return Status(
        out=out,
        asked=len(asked),
        done=len(committed) - dropped.total(),
        dropped=dict(dropped),
        gone=tuple(f for f in failed if f.error_class.permanent),
        retryable=tuple(f for f in failed if not f.error_class.permanent),
        pending=len(asked - set(committed) - set(failures)),
        extra=len(set(committed) - asked),
        clips=clips,
        frames=frames,
        faces_blurred=faces,
        cache=cache,
        cache_bytes=folder_bytes(cache) if cache else 0,
        config=dict(dataset.get("config", {})),
    )


@dataclass(frozen=True)
class DroppedCache:
    """What `drop_cache` removed."""

    cache: Path
    files: int
    bytes: int


def drop_cache(out: Path) -> DroppedCache:
    """Delete what the cache holds of the videos in `out`: sources, partial downloads, kept clips. Nothing else in it.

    Raises:
        InputError: `out` is no output directory, or knows of no cache.
    """
    store = Store(out)
    plan = store.plan()
    if store.dataset() is None or "cache" not in plan:
        raise InputError(f"{out} is not an output directory of a build", "Name the --out of a build")
    cache = Path(plan["cache"])
    videos = {video_id for video_id, _ in plan["videos"]} | set(store.committed())
    doomed = [
        path
        for folder in ("sources", "clips", "partial")
        if (cache / folder).is_dir()
        for path in sorted((cache / folder).rglob("*"))
        if path.is_file() and _belongs(path.relative_to(cache / folder), folder, videos)
    ]
    total = sum(path.stat().st_size for path in doomed)
    with store.locked():
        for path in doomed:
            path.unlink()
        for folder in sorted((p for p in cache.rglob("*") if p.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    return DroppedCache(cache, len(doomed), total)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


def _belongs(path: Path, folder: str, videos: set[str]) -> bool:
    """Whether a file of a cache folder is of one of `videos`: sources/<id>.*, clips/<id>_00000.mp4, partial/<id>/*."""
    if folder == "partial":
        return path.parts[0] in videos
    stem = path.name.lstrip(".").partition(".")[0]
    return (stem if folder == "sources" else stem.rpartition("_")[0]) in videos
