"""What a run costs on a large data set whose tables are made up: python -m benchmarks scale

Each step is run in a process of its own on OUT directories of 10,000, 100,000 and a million clips, as if a build had
made them (big_parts.py): assembling, once more with one video more, with partitions, resuming, statistics and so on.
One size takes minutes to an hour and up to 25 GB, so a single one can be run, and told later with the others:

    python -m benchmarks.scale --clips 1000000 --results sizes.json
    python -m benchmarks.scale --results sizes.json --doc docs/scale.md
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .big_parts import BigParts
from .document import Headline, Section, put, table
from .footage import street_video
from .grown import FLAGS
from .processes import CGTOOL, ProcessCost, cost_of_process
from .watched import watched

FACES_A_CLIP = 40.0
SIZES = {"full": (10_000, 100_000, 1_000_000), "tiny": (10_000,)}
NEVER, ALWAYS = "1000000000", "0"
"""Clips from which the big tables are partitioned."""


@dataclass(frozen=True)
class Cost:
    """Of one step."""

    step_s: float | None
    """Of the step alone; None where a whole command was run."""
    wall_s: float
    cpu_s: float
    peak_bytes: int


Costs = dict[str, dict[str, Any]]


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """All sizes, one after the other."""
    return section([measured(n, FACES_A_CLIP, scratch / str(n)) for n in SIZES[size]], full=size == "full")


def measured(n_clips: int, faces_a_clip: float, folder: Path, without: Sequence[str] = ()) -> dict[str, Any]:
    """One size: what was made and what each step took, as plain values.

    Args:
        without: steps that are left out.
    """
    parts = BigParts(folder, n_clips, faces_a_clip)
    if not parts.out.is_dir():
        parts.make()
    made: dict[str, Any] = {"clips": n_clips, "faces_a_clip": faces_a_clip, "sizes": {}, "steps": {}}
    for name, prepare, step in _steps(parts):
        if name in without:
            continue
        if prepare is not None:
            prepare()
        cost = step()
        sys.stderr.write(f"{n_clips:>9,} clips: {name}: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} CPU s\n")
        made["steps"][name] = asdict(cost)
    made["sizes"] = _sizes(parts.out)
    shutil.rmtree(folder)
    return made


Step = tuple[str, Callable[[], object] | None, Callable[[], Cost]]
"""Its name, what must be done before it and does not count, and itself."""


def _steps(parts: BigParts) -> list[Step]:
    """In the order in which they can be done."""

    def step(*words: str) -> Callable[[], Cost]:
        return lambda: _of_step(parts.folder, *words)

    def command(*words: str) -> Callable[[], Cost]:
        return lambda: _cost(cost_of_process([*CGTOOL, *words]), None)

    out, sources = str(parts.out), str(parts.sources)
    build = command("build-dataset", sources, "--out", out, *FLAGS)
    return [
        ("plan", None, step("plan")),
        ("what is missing, without an index", None, step("todo")),
        ("assemble, first", None, step("assemble", NEVER)),
        ("assemble, nothing changed", None, step("assemble", NEVER)),
        ("assemble, 1 video more", step("add", "1"), step("assemble", NEVER)),
        ("partition", None, step("assemble", ALWAYS)),
        ("partitions, 1 video changed", step("add", "1"), step("assemble", ALWAYS)),
        ("partitions, 300 videos more", step("add", "300"), step("assemble", ALWAYS)),
        ("what is missing", _taken_back(parts.folder), step("todo")),
        ("whether they are stale", None, step("stale")),
        ("preview", None, step("preview")),
        ("verify, tables only", None, step("verify")),
        ("build-dataset, nothing to do", build, build),  # the first writes counts and preview
        ("status", None, command("status", out)),
        ("split --by video", None, command("split", out, "--by", "video")),
        ("stats", None, command("stats", out, "--json")),
        ("build-dataset, 1 new row, until it is at hand", None, lambda: _first_work(parts)),
    ]


def _taken_back(folder: Path) -> Callable[[], object]:
    """The videos that were added are copies, with the clip ids of others: no command but `assemble` takes them."""
    return lambda: (_of_step(folder, "take", "300"), _of_step(folder, "assemble", ALWAYS))


def _of_step(folder: Path, *words: str) -> Cost:
    cost = cost_of_process([sys.executable, "-m", "benchmarks.scale_steps", *words, str(folder)])
    return _cost(cost, float(cost.answer))


def _first_work(parts: BigParts) -> Cost:
    """Seconds from the start of the command until the first video goes to a worker."""
    video = parts.folder / "walk.mp4"
    street_video(video, 28.0, "640x360")
    with parts.sources.open("a", encoding="utf-8") as f:
        f.write(f"{video},Tokyo\n")
    marks = watched(["build-dataset", str(parts.sources), "--out", str(parts.out), *FLAGS], "first")
    return Cost(None, marks.fetched_s, marks.fetched_cpu_s, 0)


def _cost(cost: ProcessCost, step_s: float | None) -> Cost:
    return Cost(step_s, cost.wall_s, cost.cpu_s, cost.peak_bytes)


def _sizes(out: Path) -> dict[str, dict[str, int]]:
    """By table: rows, files and bytes of its parts and its manifest."""
    from cityguessr_data.core.partitions import manifest_files, manifest_rows

    found = {}
    for folder in sorted((out / "parts").iterdir()):
        parts = [path.stat().st_size for path in folder.iterdir()]
        manifest = out / "manifests" / f"{folder.name}.parquet"
        files = [path.stat().st_size for path in manifest_files(manifest)]
        found[folder.name] = {
            "rows": manifest_rows(manifest),
            "parts": len(parts),
            "part_bytes": sum(parts),
            "files": len(files),
            "bytes": sum(files),
        }
    return found


def section(sizes: Sequence[Mapping[str, Any]], full: bool) -> Section:
    """The section of docs/scale.md."""
    largest = sizes[-1]
    steps = largest["steps"]
    told = ("assemble, 1 video more", "partitions, 1 video changed", "stats")
    heads = [
        Headline(f"{name}, {largest['clips']:,} clips", f"{steps[name]['cpu_s']:.0f} CPU s")
        for name in told
        if name in steps
    ]
    columns = ["step", *(f"CPU s, {one['clips']:,}" for one in sizes), "s", "peak MiB"]
    rows = []
    for name in dict.fromkeys(name for one in sizes for name in one["steps"]):
        cost = steps.get(name) or {"peak_bytes": 0, "wall_s": None}
        cpu = [f"{one['steps'][name]['cpu_s']:.1f}" if name in one["steps"] else "" for one in sizes]
        peak = f"{cost['peak_bytes'] / 2**20:,.0f}" if cost["peak_bytes"] else ""
        rows.append((name, *cpu, f"{cost['wall_s']:.1f}" if name in steps else "", peak))
    tables = [
        (
            name,
            f"{one['rows']:,}",
            f"{one['parts']:,}",
            f"{one['part_bytes'] / max(1, one['rows']):.1f}",
            f"{one['files']}",
            f"{one['bytes'] / 1e6:,.1f}",
            f"{one['bytes'] / max(1, one['rows']):.1f}",
        )
        for name, one in largest["sizes"].items()
    ]
    kept = ("table", "rows", "parts", "bytes a row in parts", "files", "MB", "bytes a row")
    body = f"""
Seconds of all cores by number of clips, with the start of Python and all imports; the last two columns are seconds on
the clock and peak memory at {largest["clips"]:,} clips. Made-up tables: {1 / 34:.3f} videos and
{largest["faces_a_clip"]:g} detections a clip, 100 frames a clip. Each step once, in a process of its own; an empty
field was not run.

{table(columns, rows)}

Tables at {largest["clips"]:,} clips:

{table(kept, tables)}
"""
    return Section("Steps", heads if full else [], body)


def main() -> None:
    """Run one size, or tell of those that were run."""
    parser = argparse.ArgumentParser(description="What a run costs on a large data set.")
    parser.add_argument("--clips", type=int, help="run this size")
    parser.add_argument("--faces", type=float, default=FACES_A_CLIP, help="detections a clip [%(default)s]")
    parser.add_argument("--made", type=Path, help="tables that are there already, of benchmarks.big_parts; removed")
    parser.add_argument("--without", nargs="*", default=(), metavar="STEP", help="steps to leave out")
    parser.add_argument("--results", type=Path, required=True, help="JSON file of the sizes run so far")
    parser.add_argument("--doc", type=Path, help="put the section there")
    args = parser.parse_args()
    found = json.loads(args.results.read_text()) if args.results.is_file() else []
    if args.clips:
        with tempfile.TemporaryDirectory(prefix="cgtool-scale-") as scratch:
            one = measured(args.clips, args.faces, args.made or Path(scratch) / "made", args.without)
        found = [other for other in found if other["clips"] != args.clips] + [one]
        args.results.write_text(json.dumps(sorted(found, key=lambda other: other["clips"]), indent=1))
    if args.doc:
        put(args.doc, "scale", section(found, full=True), ("pyarrow", "numpy"))


if __name__ == "__main__":
    main()
