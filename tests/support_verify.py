"""A tiny data set with real faces and scenes to damage in one way after the other, and the tools to do it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.build_config import BuildConfig
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.compute import Compute, Failed, Staged
from cityguessr_data.run.executor import Fetched, Postponed
from cityguessr_data.run.parts import encode_jpeg
from cityguessr_data.run.store import Store
from cityguessr_data.run.tally import count
from cityguessr_data.verify.findings import Fault
from cityguessr_data.verify.redo import Means
from cityguessr_data.verify.repair import Repaired, repair
from cityguessr_data.verify.verify import Sources, VerifyConfig, VerifyResult, verify
from tests.support_build import SHORT, write_sources
from tests.support_imported import write_colour_model
from tests.support_inline import InlineExecutor, cgtool_inline
from tests.support_video import numbered_video

FACES, OTHER, PLAIN = "film", "later", "numbers"
"""Units: two with a real face in every frame, and one without any."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """A data set that nobody has touched."""

    root: Path
    table: Path
    model: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    def copy(self, to: Path) -> Path:
        """OUT once more, as if it had been built there; sources stay where they are."""
        shutil.copytree(self.out, to)
        edit_json(to / ".cgtool" / "plan.json", lambda plan: plan.update(out=Store(to).place))
        return to

    def options(self, model: bool = True) -> list[object]:
        short = [*SHORT]
        short[short.index("--scene-model") + 1] = str(self.model)
        return list(short)


def build_whole(root: Path, film: Path, *more: object) -> Whole:
    """Three videos, 8 clips of 5 frames; a face in each frame of two of them."""
    (root / "src").mkdir(parents=True)
    for name in (FACES, OTHER):
        shutil.copy(film, root / "src" / f"{name}.mp4")
    with (root / "src" / f"{OTHER}.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")  # another file, the same pictures
    numbered_video(root / "src" / f"{PLAIN}.mp4", 45)
    cities = {FACES: "Tokyo", OTHER: "Tokyo", PLAIN: "London"}
    rows = [{"url": f"src/{n}.mp4", "city": city, "video_id": n, "note": f"of {n}"} for n, city in cities.items()]
    whole = Whole(root, write_sources(root / "sources.csv", rows), write_colour_model(root))
    run("build-dataset", whole.table, "--out", whole.out, *whole.options(), *more)
    for by in ("clip", "video"):
        run("split", whole.out, "--by", by, "--test", "0.4")
    return whole


def run(*words: object) -> None:
    """A command in this process, which goes well."""
    done = cgtool_inline(*words)
    assert done.returncode == 0, done.stderr


def look(out: Path, sources: Sources = "all") -> VerifyResult:
    """All checks, with every frame compared with its source."""
    return verify(VerifyConfig(out, sources))


def mended(out: Path, whole: Whole, sources: Sources = "none", **means: object) -> Repaired:
    """Repair OUT in this process; what frames show is looked at where a test is about that."""
    given = Means(**{"scene_model": whole.model, "workers": 1, **means})  # type: ignore[arg-type]
    return repair(VerifyConfig(out, sources), given, Silent(), None, lambda _step: None)


def told(result: VerifyResult) -> list[str]:
    """The faults in words, for a test's message."""
    return [f"{fault.check}: {fault.where}: {fault.what}" for fault in result.findings.faults]


def only(result: VerifyResult, check: str) -> list[Fault]:
    """The faults, seen to be all of one check."""
    assert {fault.check for fault in result.findings.faults} == {check}, told(result)
    return result.findings.of(check)


def part(out: Path, table: str, unit: str) -> Path:
    return out / "parts" / table / f"{unit}.parquet"


def rows_of(out: Path, table: str, unit: str) -> list[Row]:
    rows: list[Row] = pq.read_table(part(out, table, unit)).to_pylist()
    return rows


def edit(out: Path, table: str, unit: str, change: Callable[[list[Row]], list[Row] | None]) -> None:
    """Change the rows of a part; its schema and marks stay."""
    path = part(out, table, unit)
    old = pq.read_table(path)
    rows = old.to_pylist()
    changed = change(rows)
    pq.write_table(pa.Table.from_pylist(rows if changed is None else changed, old.schema), path, compression="zstd")


def put_together(out: Path) -> None:
    """Manifests and counts as the parts are now: the damage is then told by its own check alone."""
    store = Store(out)
    assemble(store)
    store.write_dataset({**(store.dataset() or {}), "counts": count(store)})


def forget(out: Path) -> None:
    """Nothing is left that tells what parts said: what is damaged must be done again."""
    (out / "manifests" / "frames.parquet").unlink(missing_ok=True)


def replace_frame(out: Path, unit: str, row: int, jpeg: bytes) -> None:
    """Another picture in place of a saved frame, and its digest in the table."""
    path = rows_of(out, "frames", unit)[row]["path"]
    (out / path).write_bytes(jpeg)

    def change(rows: list[Row]) -> None:
        rows[row]["sha256"] = hashlib.sha256(jpeg).hexdigest()

    edit(out, "frames", unit, change)


def jpeg_of(rgb: Any) -> bytes:
    return encode_jpeg(rgb, 95)


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value, indent=2))


def everything(out: Path) -> dict[str, str]:
    """Path -> digest of every file under OUT, hidden ones too."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def contents(out: Path) -> dict[str, Any]:
    """What a data set holds: frames byte for byte, tables row by row but for attempts, counts."""
    found: dict[str, Any] = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((out / "clips").rglob("*"))
        if path.is_file()
    }
    tables = ("videos", "clips", "frames", "faces")
    files = [out / "manifests" / f"{table}.parquet" for table in tables]
    files += [path for table in tables for path in sorted((out / "parts" / table).glob("*.parquet"))]
    found |= {str(path.relative_to(out)): pq.read_table(path).to_pylist() for path in files}
    return found | {"counts": json.loads((out / "dataset.json").read_text())["counts"]}


def city_of(name: str) -> int:
    """The id that the shipped taxonomy gives to a city."""
    label = Taxonomy.named("cityguessr166").label("city", name)
    assert label is not None
    return label


class HereExecutor(InlineExecutor):
    """Computes in this process; the detector is loaded once for all data sets that are built alike."""

    kept: dict[str, Compute] = {}  # noqa: RUF012 - of InlineExecutor

    def run(self, items: Any, fetch: Any, factory: Any, *more: Any) -> None:
        """See Executor.run."""
        super().run(items, fetch, _Stages(factory), *more)


@dataclass(frozen=True)
class _Stages:
    """A factory known by what it computes, not by where the data set lies."""

    make: Any

    def __call__(self) -> Compute:
        made: Compute = self.make()
        return made

    def __repr__(self) -> str:
        config = self.make.args[0]
        if not isinstance(config, BuildConfig):
            return repr(self.make)
        return repr((config.clip, config.anonymise, config.scenes, config.jpeg_quality, config.layout))


class Silent:
    """Hears a run and says nothing."""

    def planned(self, videos: int) -> None: ...

    def fetching(self, video_id: str, bytes_done: int, bytes_total: int | None) -> None: ...

    def fetched(self, fetched: Fetched) -> None: ...

    def ticked(self, stage: str, frames: int) -> None: ...

    def ended(self, outcome: Staged | Failed | Postponed) -> None: ...

    def said(self, message: str) -> None: ...
