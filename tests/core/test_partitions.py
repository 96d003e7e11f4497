"""Manifests are read by what opens each of their files once, while a build may put the next one in its place."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cgtool as cgtool_package
import cityguessr_bench
import cityguessr_data
from cityguessr_data.core.partitions import read_manifest
from cityguessr_data.publish.preview_pick import middle_frames
from cityguessr_data.stats.stream import batches

TWICE = {"read_table", "ParquetDataset", "dataset", "read_parquet", "read_pandas"}
"""What opens a path twice, or more often, of pyarrow.parquet, pyarrow.dataset and pandas."""
AT_REST = {
    "cityguessr_data/importers/importing.py": "holds the lock of OUT",
    "cityguessr_data/over_frames/copies.py": "parts, and holds the lock of OUT",
    "cityguessr_data/over_frames/go.py": "holds the lock of OUT",
    "cityguessr_data/over_frames/label.py": "holds the lock of OUT",
    "cityguessr_data/over_frames/label_columns.py": "a table of the user's",
    "cityguessr_data/over_frames/label_parts.py": "parts, and holds the lock of OUT",
    "cityguessr_data/over_frames/read_stage.py": "parts, and its parent holds the lock of OUT",
    "cityguessr_data/over_frames/units.py": "parts, and holds the lock of OUT",
    "cityguessr_data/verify/repair.py": "holds the lock of OUT",
    "cityguessr_data/verify/same_source.py": "holds the lock of OUT, as a repair",
    "cityguessr_bench/pack/shard.py": "a pack, which no build writes to",
    "cityguessr_bench/tables/runs.py": "predictions of a run that is over",
}


def opens_twice(source: str) -> list[int]:
    """Lines of a module that call or import one of TWICE of a library."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in TWICE:
            owner = ast.unparse(node.value).split(".")[-1]
            lines += [node.lineno] * (owner in ("pq", "ds", "parquet", "dataset", "pd", "pandas"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("pyarrow", "pandas"):
            lines += [node.lineno] * any(name.name in TWICE - {"dataset"} for name in node.names)
    return lines


def test_no_module_opens_a_manifest_twice_where_no_lock_is_held() -> None:
    """pq.read_table takes the footer of one file and may take the pages of the next: see docs/reliability.md."""
    found = {}
    for package in (cgtool_package, cityguessr_data, cityguessr_bench):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            if lines := opens_twice(path.read_text(encoding="utf-8")):
                found[path.relative_to(root.parent).as_posix()] = lines
    assert {path: lines for path, lines in found.items() if path not in AT_REST} == {}, "use read_manifest"
    assert AT_REST.keys() <= found.keys(), "no longer true"


def test_that_test_sees_what_it_looks_for() -> None:
    for line in (
        "pq.read_table(x)",
        "pyarrow.parquet.read_table(x)",
        "read = pq.read_table",
        "import pyarrow.dataset as ds; ds.dataset(x)",
        "from pyarrow.parquet import read_table",
        "pd.read_parquet(x)",
    ):
        assert opens_twice(line) == [1], line
    for line in ("store.dataset()", "pq.ParquetFile(x).read()", "import pyarrow.dataset as ds", "read_manifest(x)"):
        assert opens_twice(line) == [], line


def test_statistics_check_and_read_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its footer and its pages, the next table is put in its place."""
    path, reader = tmp_path / "clips.parquet", pq.ParquetFile
    pq.write_table(pa.table({"clip_id": ["a", "b"]}), path)
    pq.write_table(pa.table({"clip_id": ["c"]}), tmp_path / "next")

    def read(*args: Any, **options: Any) -> Any:
        (tmp_path / "next").replace(path)
        return reader(*args, **options)

    monkeypatch.setattr(pq, "ParquetFile", read)
    assert [row for batch in batches(path, "clips", ["clip_id"]) for row in batch["clip_id"].to_pylist()] == ["a", "b"]


def test_the_middle_frames_are_found_whatever_row_groups_they_are_in(tmp_path: Path) -> None:
    """The row nearest to what is wanted, by going through all; row groups of three rows, not in order of the clips."""
    rows = [
        {"clip_id": f"c{clip:02d}", "position": position, "path": f"{clip}/{position}", "more": 1.0}
        for clip in (7, 3, 11, 0, 5)
        for position in range(8)
    ]
    for folder, own in (("00", rows[:16]), ("01", rows[16:])):
        path = tmp_path / "frames.parquet" / f"{folder}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(own), path, row_group_size=3)
    wanted = {"c03": 4, "c11": 20, "c00": 0, "c04": 1, "zz": 0}
    expected = {"c03": "3/4", "c11": "11/7", "c00": "0/0"}
    assert middle_frames(tmp_path / "frames.parquet", wanted) == expected
    pq.write_table(read_manifest(tmp_path / "frames.parquet"), tmp_path / "plain.parquet", write_statistics=False)
    assert middle_frames(tmp_path / "plain.parquet", wanted) == expected
    assert middle_frames(tmp_path / "frames.parquet", {}) == middle_frames(tmp_path / "none.parquet", wanted) == {}
