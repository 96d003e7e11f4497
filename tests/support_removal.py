"""A small data set from a loopback server, built by the real command, and copies of it that a test may change."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import TABLES
from cityguessr_data.removal.refresh import Answer
from tests.support_build import SHORT, write_sources
from tests.support_imported import write_imported, write_jpeg
from tests.support_inline import cgtool_inline
from tests.support_server import Server
from tests.support_video import numbered_video

FAST = (*SHORT, "--allow-private-hosts", "--rate", "36000")
TITLE, CHANNEL = "A walk nobody may see", "Walker of Tokyo"


@dataclass(frozen=True)
class Built:
    """tour: a media file, 3 clips. walk: a page with title and channel, 2 clips. mine: a local file, 2 clips."""

    server: Server
    root: Path
    rows: list[dict[str, Any]]

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def copy(self, to: Path) -> Built:
        """The same data set in another place, as if it had been built there."""
        shutil.copytree(self.out, to / "out")
        shutil.copytree(self.cache, to / "cache")
        plan = to / "out" / ".cgtool" / "plan.json"
        plan.write_text(plan.read_text().replace(f'"{self.root}/', f'"{to}/'))
        return Built(self.server, to, self.rows)

    def build(self, rows: list[dict[str, Any]] | None = None, *more: object) -> dict[str, Any]:
        """`cgtool build-dataset` on these rows, else on those of the data set."""
        table = write_sources(self.root / "sources.csv", self.rows if rows is None else rows)
        done = cgtool_inline(
            "build-dataset", table, "--out", self.out, "--cache", self.cache, "--keep-clips", *FAST, *more, "--json"
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result


@contextmanager
def built(root: Path) -> Iterator[Built]:
    web = root / "web"
    web.mkdir()
    numbered_video(web / "tour.mp4", 70)
    numbered_video(web / "walk.mp4", 45, size=(160, 96))
    mine = numbered_video(root / "mine.mp4", 45, size=(128, 96))
    with Server(web) as server:
        page = server.page("/walk", author_page(server.url("/walk.mp4")))
        rows = [
            {"url": server.url("/tour.mp4"), "city": "Tokyo", "video_id": "tour", "note": ""},
            {"url": page, "city": "Osaka", "video_id": "walk", "note": "told by a friend"},
            {"url": str(mine), "city": "Tokyo", "video_id": "mine", "note": ""},
        ]
        data = Built(server, root, rows)
        data.build()
        cgtool_inline("split", data.out, "--by", "clip", "--test", "0.4")
        yield data


def author_page(video: str) -> str:
    """A page that says who made its video, as search engines read it."""
    about = {
        "@context": "https://schema.org", "@type": "VideoObject", "name": TITLE, "contentUrl": video,
        "author": {"@type": "Person", "name": CHANNEL}, "uploadDate": "2020-01-01",
    }  # fmt: skip
    return f'<html><head><script type="application/ld+json">{json.dumps(about)}</script></head><body></body></html>'


def rows(out: Path, table: str) -> list[dict[str, Any]]:
    """A manifest."""
    found: list[dict[str, Any]] = pq.read_table(out / "manifests" / f"{table}.parquet").to_pylist()
    return found


def video_row(out: Path, video_id: str) -> dict[str, Any]:
    return next(row for row in rows(out, "videos") if row["video_id"] == video_id)


def clip_ids(out: Path) -> set[str]:
    return {row["clip_id"] for row in rows(out, "clips")}


def digests(*folders: Path) -> dict[str, set[str]]:
    """SHA-256 -> the files that have it, hidden ones too."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), set()).add(str(path))
    return found


def files_that_say(text: str, *folders: Path) -> list[Path]:
    """Files in which `text` stands, also where Parquet packs it."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                said = path.read_bytes()
                if path.suffix == ".parquet":
                    table = pq.read_table(path)
                    said = f"{table.to_pylist()} {table.schema.metadata}".encode()
                if text.encode() in said:
                    found.append(path)
    return found


class Quiet:
    """Hears how a refresh goes, and keeps quiet."""

    def planned(self, videos: int) -> None:
        pass

    def answered(self, answer: Answer) -> None:
        pass


def write_by_hand(root: Path) -> Path:
    """OUT and CACHE without a build: videos a (3 clips) and b (2 clips) of 6 blurred frames each, a split, sources."""
    tree = {
        video: {
            f"{video}_{number + 7:05d}": [root / "src" / video / str(number) / f"{n + 1}.jpg" for n in range(6)]
            for number in range(count)
        }
        for video, count in (("a", 3), ("b", 2))
    }
    rng = np.random.default_rng(0)
    for paths in (paths for clips in tree.values() for paths in clips.values()):
        for path in paths:
            write_jpeg(path, rng.integers(0, 255, (24, 32, 3), dtype=np.uint8))
    out = write_imported(root / "out", tree, version="0.1.0", config={}, name="out")
    for video, clips in tree.items():
        frames, told = out / "parts" / "frames" / f"{video}.parquet", out / "parts" / "clips" / f"{video}.parquet"
        table = pq.read_table(frames)
        names = [f"clips/{video}/{clip_id}/{n + 1:03d}.jpg" for clip_id in clips for n in range(6)]
        for source, name in zip(table["path"].to_pylist(), names, strict=True):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, out / name)
        pq.write_table(_with(table, "path", names), frames)
        clip_table = pq.read_table(told)
        starts = [100 * number for number in range(len(clips))]
        for column, values in (("start_frame", starts), ("end_frame", [start + 60 for start in starts])):
            clip_table = _with(clip_table, column, values)
        pq.write_table(_with(clip_table, "blur", ["paper"] * len(clips)), told)
        box = {"x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0, "score": 0.9, "blurred": True}
        face = {"position": 0, "kind": "face", "origin": "detected", "review": "pending", **box}
        faces = [{"clip_id": clip_id, **face} for clip_id in clips]
        for folder in (out / "parts" / "faces", out / ".cgtool" / "review" / "faces"):
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(faces, TABLES["faces"]), folder / f"{video}.parquet")
        (out / ".cgtool" / "originals").mkdir(exist_ok=True)
        pq.write_table(
            table.select(["clip_id", "position", "path", "sha256"]), out / f".cgtool/originals/{video}.parquet"
        )
        for name in (f"sources/{video}.mp4", f"sources/{video}.json", f"partial/{video}/x.part"):
            _fill(root / "cache" / name)
        for clip_id in clips:
            _fill(root / "cache" / "clips" / f"{clip_id}.mp4")
    _fill(root / "cache" / "sources" / "another.mp4")
    cached = {"folders": [str(root / "cache")], "fetched": ["a", "b"], "videos": ["a", "b"]}
    plan = {"out": str(out.resolve()), "cache": str(root / "cache"), "links": {}, "videos": [], "cached": cached}
    (out / ".cgtool" / "plan.json").write_text(json.dumps(plan))
    ids = sorted(clip_id for clips in tree.values() for clip_id in clips)
    table = pa.table({"clip_id": ids, "part": ["train", "test"] * 2 + ["train"]})
    (out / "splits").mkdir()
    pq.write_table(table.replace_schema_metadata({"cgtool.split_rule": "clip"}), out / "splits" / "s.parquet")
    return out


def _with(table: pa.Table, column: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


def _fill(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode() * 10)


class Killed(BaseException):
    """What a process that is killed does next: nothing."""


@contextmanager
def killed_at(step: int) -> Iterator[list[str]]:
    """Let every change to the disk from the `step`th on (from 0) fail, as for a process that is killed before it.

    Gives the names of the changes that were made.
    """
    made: list[str] = []

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(made) >= step:
                raise Killed
            made.append(change.__name__)
            return change(*args, **kwargs)

        return call

    with ExitStack() as patches:  # pathlib and shutil call these
        for name in ("replace", "rename", "link", "unlink", "mkdir", "rmdir"):
            patches.enter_context(mock.patch.object(os, name, mortal(getattr(os, name))))
        yield made
