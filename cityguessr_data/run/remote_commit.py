"""How a staged video becomes the committed one below a url, where nothing can be renamed.

A new video: its frames, its parts, the clips part last. That one object is the commit.
    .cgtool/ready/<video_id>.json   there before the first frame and until the end: {"new": true}
An earlier result stays whole until the new one is complete beside it:
    .cgtool/ready/<video_id>/...    the new frames and parts
    .cgtool/ready/<video_id>.json   then this one object decides: which of them goes where, and which frames go
Then the store copies them to their places, the clips part last, and the frames that no row names any more are deleted.
Whoever writes next finishes what was decided and clears what was not (`recover`), on whatever machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..core.errors import StopError
from ..core.frame_files import split_member
from ..core.remote import Entry, Remote
from ..core.schemas import UNIT_TABLES

READY = ".cgtool/ready"


@dataclass(frozen=True)
class Decided:
    """What a marker says."""

    new: bool = False
    """The video had no result: what lies there without a clips part is half uploaded."""
    files: dict[str, str] = field(default_factory=dict)
    """Of a replacement: name -> where its new content lies."""
    gone: list[str] = field(default_factory=list)
    """Of a replacement: frames that no row names any more."""


def push_unit(remote: Remote, ready: Path, committed: Path | None) -> None:
    """Make the ready folder of a video (run/store.py) the committed one.

    Args:
        committed: its frames part as the remote has it; None where it has no result of this video.
    """
    unit = ready.name
    parts = {f"parts/{table}/{unit}.parquet": ready / "parts" / f"{table}.parquet" for table in UNIT_TABLES}
    parts = {name: path for name, path in parts.items() if path.exists()}
    staged = _frames(ready, unit)
    before = _rows(committed, unit)
    now = _rows(ready / "parts" / "frames.parquet", unit) if (ready / "parts" / "frames.parquet").exists() else before
    marker = f"{READY}/{unit}.json"
    if committed is None:
        remote.put_bytes(marker, _said(Decided(new=True)))
        remote.put_many(staged)
        for name, path in parts.items():
            remote.put(name, path)
        remote.delete([marker])
        return
    files = {name: path for name, path in staged.items() if name not in before or before[name] != now.get(name)}
    there = {name: f"{READY}/{unit}/{name}" for name in (*files, *parts)}
    remote.put_many({there[name]: path for name, path in (files | parts).items()})
    decided = Decided(files=there, gone=sorted(before.keys() - now.keys()))
    remote.put_bytes(marker, _said(decided))
    _finish(remote, unit, decided)


def recover(remote: Remote) -> int:
    """Finish or clear what killed runs left below the url. Returns how many videos that were."""
    there = remote.list(READY)
    markers = {unit: read_marker(remote, unit) for unit in decided_units(there)}
    for unit, decided in markers.items():
        if decided is not None and decided.new:
            _clear_half_uploaded(remote, unit)
        elif decided is not None:
            _finish(remote, unit, decided)
    left = [name for name in there if name.count("/") > 2 and name.split("/")[2] not in markers]
    remote.delete(left)  # staged and never decided
    return len(markers)


def decided_units(names: Mapping[str, Entry]) -> list[str]:
    """The units that have a marker, by the names below `READY`."""
    markers = (name for name in names if name.startswith(f"{READY}/") and name.count("/") == 2)
    return sorted(name.rpartition("/")[2].removesuffix(".json") for name in markers)


def read_marker(remote: Remote, unit: str) -> Decided | None:
    """What the marker of a unit says; None where it has gone meanwhile.

    Raises:
        StopError: it is damaged.
    """
    name = f"{READY}/{unit}.json"
    try:
        said: dict[str, Any] = json.loads(remote.read(name))
        return Decided(**said)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as exc:
        raise StopError(
            f"{remote.url}/{name} is damaged", "It was not written by cgtool: look at it, and delete it"
        ) from exc


def _finish(remote: Remote, unit: str, decided: Decided) -> None:
    """Each step may have been done before: it can be repeated at any point, until the marker goes."""
    staged = remote.list(f"{READY}/{unit}")
    moves = {source: name for name, source in decided.files.items() if source in staged}
    clips = f"parts/clips/{unit}.parquet"
    if len(moves) == len(decided.files):  # else all were copied before: they are deleted after that
        remote.delete([clips])  # an earlier result ends here; readers find the new one by its marker
        remote.copy_many({source: name for source, name in moves.items() if name.startswith("clips/")})
        for table in UNIT_TABLES:
            name = f"parts/{table}/{unit}.parquet"
            if name in decided.files:
                remote.copy(decided.files[name], name)
    remote.delete(decided.gone)
    remote.delete(staged)
    remote.delete([f"{READY}/{unit}.json"])


def _clear_half_uploaded(remote: Remote, unit: str) -> None:
    """Delete what there is of a new video that was not committed; where it was, only its marker is left over."""
    if remote.info(f"parts/clips/{unit}.parquet") is None:
        remote.delete([*remote.list(f"clips/{unit}"), f"clips/{unit}.tar"])
        remote.delete([f"parts/{table}/{unit}.parquet" for table in UNIT_TABLES[:-1]])
    remote.delete([f"{READY}/{unit}.json"])


def _frames(ready: Path, unit: str) -> dict[str, Path]:
    """Object name -> staged file with frames."""
    folder, tar = ready / "clips", ready / "clips.tar"
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = {f"clips/{unit}/{path.relative_to(folder).as_posix()}": path for path in files}
    return found | ({f"clips/{unit}.tar": tar} if tar.exists() else {})


def _rows(part: Path | None, unit: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Object name -> path and digest of each frame in it, of the frames of a part that lie below the url."""
    if part is None:
        return {}
    with pq.ParquetFile(part) as file:
        rows = file.read(columns=["path", "sha256"], use_threads=False).to_pylist()
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in rows:
        name = split_member(row["path"])[0]
        if name.startswith(f"clips/{unit}/") or name == f"clips/{unit}.tar":
            found[name] = (*found.get(name, ()), (row["path"], row["sha256"]))
    return found


def _said(decided: Decided) -> bytes:
    return json.dumps(asdict(decided)).encode()
