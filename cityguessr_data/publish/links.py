"""The shareable form without pixels: a sources table with a row a clip, and the options that rebuild it.

links.csv    url, city, ..., span, clip_index, digests: `cgtool build-dataset links.csv --config build.toml`
build.toml   the options of the build
README.md    where the videos come from, how faces were blurred, who to ask
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from ..core.atomic import write_bytes
from ..core.errors import InputError
from ..core.links import is_private_host
from ..core.schemas import VIDEOS
from ..core.tables import harmless
from .clip import ExportClip
from .contents import Contents
from .destination import writable
from .facts import Facts
from .guard import PathGuard
from .job import ExportJob
from .link_options import build_toml, rebuild_command
from .markup import markdown
from .readme import readme

CLIP_DIGEST = "clip_sha256"
"""Column of the digest of a clip's saved frames (`frames.clip_digest`)."""
SOURCE_DIGEST = "source_sha256"
COLUMNS = (
    "url", "city", "state", "country", "continent", "video_id", "start_s", "end_s", "license", "clip_index",
    SOURCE_DIGEST, CLIP_DIGEST,
)  # fmt: skip
NAMES = ("links.csv", "build.toml", "README.md")
"""Of the files, where DEST is a folder."""
_REPEATABLE = re.compile("https?:", re.IGNORECASE)


def with_links(contents: Contents) -> Contents:
    """The clips that a link leads to; the others are left out, with why.

    Raises:
        InputError: there is none.
    """
    videos = _videos(contents)
    left_out = {why: list(ids) for why, ids in contents.left_out.items()}
    by_unit: dict[str, tuple[ExportClip, ...]] = {}
    used: set[str] = set()
    for unit, clips in contents.by_unit.items():
        rows = {row["clip_id"]: row for row in contents.table("clips", unit).to_pylist()}
        kept = []
        for clip in clips:
            why = _why_none(rows[clip.clip_id], videos)
            if why is None:
                kept.append(clip)
                used.add(rows[clip.clip_id]["video_id"])
            else:
                left_out.setdefault(why, []).append(clip.clip_id)
        if kept:
            by_unit[unit] = tuple(kept)
    if not by_unit:
        whys = ", ".join(f"{len(ids):,} {why}" for why, ids in left_out.items())
        raise InputError(f"no clip of {contents.store.out} has a link: {whys}", "Export the frames in another format")
    clips = tuple(clip for held in by_unit.values() for clip in held)
    linked = contents.videos.filter(pc.is_in(contents.videos["video_id"], value_set=pa.array(sorted(used))))
    gone = tuple(video_id for video_id in contents.gone if video_id in used)
    return replace(contents, clips=clips, by_unit=by_unit, left_out=left_out, videos=linked, gone=gone)


def write_links(job: ExportJob) -> None:
    """links.csv, build.toml and README.md in DEST.

    Raises:
        InputError: a text holds a path of this machine.
        DiskFullError: no space left.
    """
    for name, text in link_texts(job.facts, *NAMES, sums=True).items():
        job.guard.check_text(name, text)
        if not job.dest.has(name):
            job.dest.write_text(name, text)
    job.packed(len(job.contents.clips), job.contents.n_bytes)


def write_link_files(facts: Facts, table: Path, guard: PathGuard) -> tuple[list[str], int, bool]:
    """The table under a name of its own, and beside it its options as .toml and what to know of it as .md.

    Returns:
        The names of the files, their bytes, and whether they were there already.
    Raises:
        InputError: files of these names are there and hold something else; or they would hold a path of this machine.
        DiskFullError: no space left.
    """
    names = (table.name, *(table.with_suffix(suffix).name for suffix in (".toml", ".md")))
    texts = link_texts(facts, *names, sums=False)
    was_done = True
    for name, text in texts.items():
        guard.check_text(name, text)
        path = table.with_name(name)
        if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
            raise InputError(f"{path} is there and holds something else", "Name another file")
    for name, text in texts.items():
        path = table.with_name(name)
        if not path.exists():
            was_done = False
            with writable(path):
                write_bytes(path, text.encode())
    return list(texts), sum(len(text.encode()) for text in texts.values()), was_done


def link_texts(facts: Facts, table: str, config: str, about: str, *, sums: bool) -> dict[str, str]:
    """The three files by their names.

    Args:
        table, config, about: their names.
        sums: whether SHA256SUMS and export.json lie beside them.
    """
    contents, private = facts.contents, has_private(facts.contents)
    command = rebuild_command(table, config, private=private)
    only = " Some links lead to a private network, and can be followed only there." if private else ""
    load = (
        "This is a table of links, without pictures. Build the clips from their sources with cgtool:\n\n"
        f"    {command}\n\n"
        f"It says which of them came out differently than they were (`{CLIP_DIGEST}`).{only}"
    )
    files = f"{markdown(table)} has a row a clip: its link, span, labels and digests; {markdown(config)} the options."
    beside = " `SHA256SUMS` has the digest of every file; `export.json` says what was exported." if sums else ""
    return {
        table: _table(contents),
        config: build_toml(contents.dataset, table, config, private=private),
        about: readme(facts, load=load, files=files + beside),
    }


def has_private(contents: Contents) -> bool:
    """Whether a link leads to this machine or a private network: nobody else can rebuild such a clip."""
    return any(_is_private(row["url"]) for row in _videos(contents).values())


def _table(contents: Contents) -> str:
    videos = _videos(contents)
    own = {*COLUMNS, *VIDEOS.names}
    further = [
        name for name in contents.videos.column_names if name not in own and any(row[name] for row in videos.values())
    ]
    lines: list[tuple[str, float, dict[str, Any]]] = []
    for unit, clips in contents.by_unit.items():
        rows = {row["clip_id"]: row for row in contents.table("clips", unit).to_pylist()}
        for clip in clips:
            row = rows[clip.clip_id]
            lines.append((row["video_id"], row["start_s"], _cells(row, clip, videos[row["video_id"]], further)))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*COLUMNS, *further], lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells for *_, cells in sorted(lines, key=lambda line: line[:2]))
    return text.getvalue()


def _cells(row: Mapping[str, Any], clip: ExportClip, video: Mapping[str, Any], further: list[str]) -> dict[str, Any]:
    places = {name: row[name] for name in ("city", "state", "country", "continent", "video_id", "clip_index")}
    return {
        "url": video["url"],
        **places,
        "start_s": repr(row["start_s"]),  # comes back as the same number, so that the span has the same frames
        "end_s": repr(row["end_s"]),
        "license": harmless(video["license"] or ""),
        SOURCE_DIGEST: video["sha256"] or "",
        CLIP_DIGEST: clip.digest,
        **{name: _cell(video[name]) for name in further},
    }


def _cell(value: Any) -> Any:
    return harmless(value) if isinstance(value, str) else value or ""


def _videos(contents: Contents) -> dict[str, dict[str, Any]]:
    return {row["video_id"]: row for row in contents.videos.to_pylist()}


def _why_none(row: Mapping[str, Any], videos: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Why no link rebuilds a clip; None where one does."""
    video = videos.get(row["video_id"] or "")
    if video is None:
        return "whose source is not known"
    if not _REPEATABLE.match(video["url"]):
        return "of a local file or of none"
    if row["start_s"] is None or row["end_s"] is None:
        return "without a span"
    return None


def _is_private(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and is_private_host(host)
