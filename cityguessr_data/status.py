"""What an output directory holds and lacks, read from its parts; and dropping the cache that belongs to it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from .core.errors import InputError
from .core.remote.place import folder_at
from .planning import is_elsewhere, read_plan
from .publish.ledger import NotedExport, outdated_exports
from .review.progress import ReviewProgress, read_progress
from .run.ledger import LastFailure, last_failure
from .run.remote.cache import SENT, delete_stored, stored_sources
from .run.store import Store
from .run.take_out import is_unsettled
from .run.tally import committed_rows
from .run.tombstones import read_tombstones


@dataclass(frozen=True)
class Status:
    """What a data set holds, also of videos whose manifests are not written yet.

    asked = done + dropped + removed + gone + retryable + pending. Clips, frames and faces are those of all committed
    videos.
    """

    out: Path
    asked: int
    """Videos that the last run was asked for."""
    done: int
    """Asked for, and committed as asked for now."""
    dropped: dict[str, int]
    """By reason."""
    removed: int
    """Taken out for good, or never taken in because of that."""
    gone: tuple[LastFailure, ...]
    """Permanent failures."""
    retryable: tuple[LastFailure, ...]
    pending: int
    """Asked for, not tried yet or interrupted."""
    outdated: int
    """Those among gone, retryable and pending of which an older result is committed: its row has changed since."""
    extra: int
    """Committed, and not among those the last run was asked for."""
    clips: int
    frames: int
    faces_blurred: int
    review: ReviewProgress | None
    """How far a review is; None where nobody has decided anything."""
    clips_as_imported: int
    """Clips whose frames were never anonymised here: they lie where they were imported from."""
    removal_unfinished: bool
    """A removal was begun and is not carried out, or what was removed is there again."""
    outdated_exports: tuple[NotedExport, ...]
    """Exports that hold clips which were removed since."""
    cache: Path | None
    """The cache of the last run."""
    cache_bytes: int
    """What `drop_cache` would remove, from the caches of all runs."""
    config: dict[str, object] = field(default_factory=dict)


def read_status(out: Path) -> Status:
    """Read the status of `out`.

    Raises:
        InputError: it is not an output directory, its plan is damaged, or parts of a video are missing.
    """
    store = Store(out)
    dataset = store.dataset()
    if dataset is None:
        raise InputError(f"{out} is not an output directory (it has no dataset.json)", "Name the --out of a build")
    committed = store.committed()
    store.check_whole(committed)
    plan = read_plan(store)
    wanted = {video["video_id"]: video["fingerprint"] for video in plan.get("videos", ())}
    if not plan:
        wanted = {video_id: video.fingerprint for video_id, video in committed.items()}
    as_wanted = {video_id for video_id, video in committed.items() if wanted.get(video_id) == video.fingerprint}
    urls = {video["video_id"]: video["url"] for video in plan.get("videos", ())}
    tombstones = read_tombstones(store)
    rows, clips = committed_rows(store, committed, imported="imported" in dataset)
    taken_out = {video_id for video_id, row in rows.items() if row["status"] == "removed"}
    # A changed row of a video that lost all its clips may ask for others; one that was removed itself never comes back
    removed = {
        video_id
        for video_id in taken_out & set(wanted)
        if video_id in as_wanted or tombstones.of_video(video_id, urls.get(video_id)) is not None
    }
    failed = [
        failure
        for video_id in sorted(wanted.keys() - as_wanted - removed)
        if (failure := last_failure(store, video_id, committed.get(video_id))) is not None
        and wanted[video_id] == failure.fingerprint
    ]
    dropped: Counter[str] = Counter()
    for video_id in committed:
        if video_id in as_wanted and rows[video_id]["status"] == "dropped":
            dropped[str(rows[video_id]["reason"]).partition(":")[0]] += 1
    return Status(
        out=out,
        asked=len(wanted),
        done=len(as_wanted - removed) - dropped.total(),
        dropped=dict(dropped),
        removed=len(removed),
        gone=tuple(f for f in failed if f.error_class.permanent),
        retryable=tuple(f for f in failed if not f.error_class.permanent),
        pending=len(wanted) - len(as_wanted | removed) - len(failed),
        outdated=len(set(committed) & set(wanted) - as_wanted - removed),
        extra=len(set(committed) - set(wanted) - taken_out),
        clips=clips.num_rows,
        frames=pc.sum(clips["n_sampled"]).as_py() or 0,
        faces_blurred=pc.sum(clips["n_faces"]).as_py() or 0,
        review=read_progress(store) if store.parts("decisions") else None,
        clips_as_imported=clips["blur"].null_count if "imported" in dataset else 0,
        removal_unfinished=bool(tombstones) and is_unsettled(store),
        outdated_exports=tuple(outdated_exports(store)),
        cache=folder_at(plan["cache"]) if plan else None,
        cache_bytes=0 if is_elsewhere(store, plan) else _cache_bytes(plan),
        config=dict(dataset.get("config", {})),
    )


@dataclass(frozen=True)
class DroppedCache:
    """What `drop_cache` removed."""

    caches: tuple[Path, ...]
    files: int
    bytes: int


def drop_cache(out: Path, cache: Path | None = None) -> DroppedCache:
    """Delete what the caches hold of the videos that `out` was ever asked for, and forget them. Nothing else in them.

    Args:
        cache: the only cache folder to clear, in place of those that `out` has noted.

    Raises:
        InputError: `out` is no output directory, or was copied or moved and no cache is named; `cache` is no folder,
            or lies in `out`.
    """
    store = Store(out)
    if store.dataset() is None or not read_plan(store):
        raise InputError(f"{out} is not an output directory of a build", "Name the --out of a build")
    with store.locked():
        plan = read_plan(store)
        if cache is not None:
            folders = [_named_cache(out, cache)]
        elif is_elsewhere(store, plan):
            raise InputError(
                f"{out} was copied or moved from {plan.get('out')}, and its cache may belong to the other one",
                "Name the folder to clear with --cache",
            )
        else:
            folders = _folders(plan)
        doomed = doomed_files(plan, folders)
        stored = {folder: stored_sources(folder, plan["cached"]["fetched"]) for folder in folders}
        sizes = _sizes(stored, doomed)
        emptied = [folder for cache_folder in folders for folder in _own_folders(cache_folder, plan["cached"])]
        for folder, names in stored.items():
            delete_stored(folder, names)
        for path in doomed:
            path.unlink(missing_ok=True)
        for folder in emptied:
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()
        left = [folder for folder in plan["cached"]["folders"] if _folder(folder) not in folders]
        kept = plan["cached"] if left else {"fetched": [], "videos": []}
        store.write_plan(plan | {"cached": kept | {"folders": left}})
    return DroppedCache(tuple(folders), len(sizes), sum(sizes.values()))


def doomed_files(plan: dict[str, Any], folders: Sequence[Path] | None = None) -> list[Path]:
    """Every file that dropping the cache removes, in all caches noted in `plan` or in `folders`.

    sources/<id>.*             of videos that came over the network; a local file of that name is the user's own
    partial/<id>/**            the same
    clips/<id>_00000.mp4       of all videos; also what a killed run left in clips/.<id>_00000.cutting/
    served/**                  the videos that `cgtool demo` made, where its note is there
    """
    cached = plan.get("cached", {})
    fetched, videos = set(cached.get("fetched", ())), set(cached.get("videos", ()))
    found: set[Path] = set()
    for cache in _folders(plan) if folders is None else folders:
        found.update(p for p in _files(cache / "sources") if p.name.lstrip(".").partition(".")[0] in fetched)
        found.update(p for p in _files(cache / "clips") if _clip_of(p.name) in videos)
        for cutting in _cutting(cache, videos):
            found.update(_files(cutting))
        for video_id in fetched:
            found.update(_files(cache / "partial" / video_id, "**/*"))
        if _made_by_demo(cache / "served"):
            found.update(_files(cache / "served", "**/*"))
    return sorted(found)


def _folders(plan: dict[str, Any]) -> list[Path]:
    return [_folder(folder) for folder in plan.get("cached", {}).get("folders", ())]


def _folder(place: str) -> Path:
    return folder_at(place).resolve()


def _cache_bytes(plan: dict[str, Any]) -> int:
    fetched = plan.get("cached", {}).get("fetched", ())
    stored = {folder: stored_sources(folder, fetched) for folder in _folders(plan)}
    return sum(_sizes(stored, doomed_files(plan)).values())


def _sizes(stored: Mapping[Path, Mapping[str, int]], files: Sequence[Path]) -> dict[Path, int]:
    """Bytes by path, of what lies on object stores and what lies here; once, where a file is a copy of an object."""
    there = {folder / name: size for folder, names in stored.items() for name, size in names.items()}
    return {path: path.lstat().st_size for path in files if path.suffix != SENT} | there


def _named_cache(out: Path, cache: Path) -> Path:
    folder, inside = cache.resolve(), out.resolve()
    if not folder.is_dir():
        raise InputError(f"{cache} is not a folder", "Name the --cache of the build")
    if folder == inside or inside in folder.parents:
        raise InputError(f"{cache} lies in the output directory, which holds no cache", "Name the --cache of the build")
    return folder


def _files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    return (path for path in folder.glob(pattern) if path.is_file() or path.is_symlink())


def _clip_of(name: str) -> str | None:
    """The video of a clip's file or working folder; None for another name."""
    video_id, _, number = name.lstrip(".").partition(".")[0].rpartition("_")
    return video_id if number.isdecimal() else None


def _cutting(cache: Path, videos: set[str]) -> list[Path]:
    return [path for path in (cache / "clips").glob(".*.cutting") if path.is_dir() and _clip_of(path.name) in videos]


def _own_folders(cache: Path, cached: dict[str, list[str]]) -> list[Path]:
    """The folders of a cache that are ours to remove once they are empty; inner ones first, the cache itself last."""
    whole = [cache / "partial" / video_id for video_id in cached["fetched"]]
    whole += _cutting(cache, set(cached["videos"]))
    if _made_by_demo(cache / "served"):
        whole.append(cache / "served")
    inner = [path for folder in whole for path in folder.glob("**/*") if path.is_dir()]
    return [*sorted(inner, reverse=True), *whole, *(cache / name for name in ("sources", "clips", "partial")), cache]


def _made_by_demo(folder: Path) -> bool:
    """Whether the demo's note lies there: the (file name, city) pairs of its videos."""
    try:
        note = json.loads((folder / "videos.json").read_text(encoding="utf-8"))
        return all(isinstance(name, str) and isinstance(city, str) for name, city in note)
    except (OSError, ValueError, TypeError):
        return False
