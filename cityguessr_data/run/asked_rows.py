"""The rows of the sources table by video, in OUT/.cgtool/rows.parquet: enough to do one video again without the table.

Beside the plan and not in it: every command reads the plan, and only a repair needs this. Rows of videos that a later
table leaves out stay.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.errors import MachineError
from ..core.types import Place, SourceRow, VideoTask
from .store import Store

_SCHEMA = pa.schema([("video_id", pa.string()), ("url", pa.string()), ("row", pa.int32()), ("asked", pa.string())])
_UNUSABLE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


def keep_rows(store: Store, tasks: Sequence[VideoTask]) -> None:
    """Remember what is asked of these videos; the file is left alone where it says so already.

    Raises:
        DiskFullError: no space left.
        MachineError: the file is there, and the system does not let it be read.
    """
    new = [line for task in tasks for line in _lines(task)]
    asked = {task.video_id for task in tasks}
    try:
        held = _read(store)
    except _UNUSABLE as exc:  # none yet, or not ours: what the table asks for now is enough
        if isinstance(exc, OSError) and exc.errno is not None and not isinstance(exc, FileNotFoundError):
            path = store.work / "rows.parquet"  # pyarrow gives no number to what is merely damaged
            raise MachineError(f"{path} cannot be read ({exc.strerror or exc})", "See who may read it") from exc
        held = []
    kept = sorted([*new, *(line for line in held if line["video_id"] not in asked)], key=_place)
    if kept != held:
        write_table(store.work / "rows.parquet", pa.Table.from_pylist(kept, _SCHEMA))


def forget_rows(store: Store, video_ids: Collection[str]) -> None:
    """Drop what is remembered of videos that are taken out for good: rows may say more of them than a tombstone does.

    Raises:
        DiskFullError: no space left.
    """
    path = store.work / "rows.parquet"
    try:
        held = _read(store)
    except FileNotFoundError:
        return
    except _UNUSABLE:  # nobody can read it, and the next build writes it anew
        path.unlink()
        return
    kept = [line for line in held if line["video_id"] not in video_ids]
    if kept != held:
        write_table(path, pa.Table.from_pylist(kept, _SCHEMA))


def asked_tasks(store: Store, video_ids: Collection[str] | None = None) -> dict[str, VideoTask]:
    """What was asked of these videos, by id; those of which nothing is remembered that can be used are left out.

    Args:
        video_ids: None: all.
    """
    return _usable(store, video_ids)[0]


def unusable_rows(store: Store) -> str:
    """What is wrong with the file, in words; empty where nothing is, or there is none."""
    if not (store.work / "rows.parquet").exists():
        return ""
    try:
        _read(store)
    except _UNUSABLE as exc:
        return f"cannot be read ({str(exc).splitlines()[0][:100]})"
    unusable = _usable(store, None)[1]
    if not unusable:
        return ""
    return f"what it says of {len(unusable):,} videos cannot be used, such as {min(unusable)}"


def places_of(tasks: Mapping[str, VideoTask]) -> set[Place]:
    """The places of all their rows, with the labels of the taxonomy of the build that asked for them."""
    return {row.place for task in tasks.values() for row in task.rows}


def _usable(store: Store, video_ids: Collection[str] | None) -> tuple[dict[str, VideoTask], set[str]]:
    """Tasks by id, and the ids of which a line is of another version."""
    try:
        held = _read(store)
    except _UNUSABLE:
        return {}, set()
    lines: dict[str, list[dict[str, Any]]] = {}
    for line in held:
        if video_ids is None or line["video_id"] in video_ids:
            lines.setdefault(line["video_id"], []).append(line)
    tasks: dict[str, VideoTask] = {}
    for name, own in lines.items():
        try:
            tasks[name] = VideoTask(name, own[0]["url"], tuple(_row(line) for line in own))
        except _UNUSABLE:
            continue
    return tasks, set(lines) - set(tasks)


def _read(store: Store) -> list[dict[str, Any]]:
    with pq.ParquetFile(store.work / "rows.parquet") as file:
        return sorted(file.read(columns=_SCHEMA.names, use_threads=False).to_pylist(), key=_place)


def _place(line: dict[str, Any]) -> tuple[str, int]:
    return line["video_id"], line["row"]


def _lines(task: VideoTask) -> list[dict[str, Any]]:
    """The line number is left out: it says where a row stood, not what it asks for."""
    texts = [json.dumps(asdict(replace(row, line=0)), ensure_ascii=False, default=dict) for row in task.rows]
    return [{"video_id": task.video_id, "url": task.url, "row": i, "asked": text} for i, text in enumerate(texts)]


def _row(line: dict[str, Any]) -> SourceRow:
    told = json.loads(line["asked"])
    place = Place(**told["place"])
    hash(place)  # places are kept in sets
    return SourceRow(**{**told, "place": place})
