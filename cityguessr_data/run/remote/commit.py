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

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ...core.errors import StopError
from ...core.frame_files import split_member
from ...core.remote.objects import Entry, Remote
from ...core.schemas import UNIT_TABLES

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


def push_unit(remote: Remote, ready: Path, committed: Path | None) -> dict[str, str]:
    """Make the ready folder of a video (run/store.py) the committed one. Returns the tokens of its parts, by name.

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
        tokens = {name: remote.put(name, path) for name, path in parts.items()}
        remote.delete([marker])
        return tokens
    there = _stored(remote, unit, staged)
    files = {
        name: path
        for name, path in staged.items()
        if before.get(name) != now.get(name) or name not in there or not _holds(there[name], path)
    }
    new = {name: f"{READY}/{unit}/{name}" for name in (*files, *parts)}
    remote.put_many({new[name]: path for name, path in (files | parts).items()})
    decided = Decided(files=new, gone=sorted(before.keys() - now.keys()))
    remote.put_bytes(marker, _said(decided))
    return _finish(remote, unit, decided)


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


def _finish(remote: Remote, unit: str, decided: Decided) -> dict[str, str]:
    """Each step may have been done before: it can be repeated at any point, until the marker goes.

    Returns the tokens of the parts that were copied now.
    """
    staged = remote.list(f"{READY}/{unit}")
    moves = {source: (name, staged[source].size) for name, source in decided.files.items() if source in staged}
    clips, tokens = f"parts/clips/{unit}.parquet", dict[str, str]()
    if len(moves) == len(decided.files):  # else all were copied before: they are deleted after that
        remote.delete([clips])  # an earlier result ends here; readers find the new one by its marker
        remote.copy_many({source: to for source, to in moves.items() if to[0].startswith("clips/")})
        for table in UNIT_TABLES:
            name = f"parts/{table}/{unit}.parquet"
            if name in decided.files:
                tokens[name] = remote.copy(decided.files[name], name, staged[decided.files[name]].size)
    remote.delete(decided.gone)
    remote.delete(staged)
    remote.delete([f"{READY}/{unit}.json"])
    return tokens


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


def _stored(remote: Remote, unit: str, staged: Mapping[str, Path]) -> dict[str, Entry]:
    """What lies there of the staged names: rows say what should, and it may be lost or damaged."""
    tar = f"clips/{unit}.tar"
    if set(staged) <= {tar}:
        entry = remote.info(tar) if staged else None
        return {} if entry is None else {tar: entry}
    return remote.list(f"clips/{unit}")


def _holds(entry: Entry, path: Path) -> bool:
    """Whether an object has a file's bytes, as far as its token tells; a token that is no MD5 tells nothing: no."""
    return entry.size == path.stat().st_size and entry.token == md5_of(path)


def md5_of(path: Path) -> str:
    """As object stores tell it of an object that was written at once."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


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
