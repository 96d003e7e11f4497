"""`cgtool import` as a user runs it: what it prints, its JSON, its exit codes, and what works on the result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support_build import CGTOOL, cgtool, hear_ctrl_c, result_of
from tests.support_imports import (
    jpeg,
    parts_of,
    small_cityguessr,
    small_msls,
    table,
    write_cityguessr,
)
from tests.support_inline import cgtool_inline


def test_counts_stand_beside_the_papers_in_80_columns(tmp_path: Path) -> None:
    source, out = small_msls(tmp_path / "msls"), tmp_path / "out"
    done = cgtool("import", "msls", source, "--out", out, "--subset", "paper21", env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert ["clips", "15", "11,320", "-11,305"] in lines and ["continents", "3", "6", "-3"] in lines
    assert ["train", "12", "9,049", "-9,037"] in lines and ["test", "3", "2,271", "-2,268"] in lines
    text = " ".join(done.stdout.split())
    assert "how the paper rounds is not known" in text and "not in the folder, of its 21 cities: Amman" in text
    assert "as they came" in text
    assert "15 clips of 14 sources" in done.stderr
    again = cgtool("import", "msls", source, "--out", out, "--subset", "paper21")
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_a_fault_gives_exit_code_1_and_a_list(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"
    (source / "train/Tokyo/Tokyo_1_00001/3.jpg").write_bytes(jpeg(3)[:-20])
    done = cgtool_inline("import", "cityguessr68k", source, "--out", out)
    assert done.returncode == 1
    assert "left out or missing: 1 item" in done.stderr
    assert "  train/Tokyo/Tokyo_1_00001/3.jpg: is cut off: it has no end" in done.stderr.splitlines()
    value = result_of(cgtool_inline("import", "cityguessr68k", source, "--out", out, "--json"))
    assert (value["exit_code"], value["counts"]["clips"], value["run"]["already_done"]) == (1, 8, 3)
    assert value["left"] == [{"path": "train/Tokyo/Tokyo_1_00001/3.jpg", "what": "is cut off: it has no end"}]
    assert value["published"]["clips"] == 68_269 and value["splits"] == {"released": {"train": 5, "test": 3}}


def test_what_is_not_fit_gives_exit_code_2_and_writes_nothing(tmp_path: Path) -> None:
    source = write_cityguessr(
        tmp_path / "src", {"train": ["Tokyo_1_00000", "Tokyoo_1_00000"], "test": ["Lyon_1_00000"]}
    )
    done = cgtool_inline("import", "cityguessr68k", source, "--out", tmp_path / "out")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    fault = "unknown city 'Tokyoo'; the nearest known are Tokyo, "
    assert any(line.startswith(f"  train/Tokyoo: {fault}") for line in done.stderr.splitlines())
    value = json.loads(cgtool_inline("import", "cityguessr68k", source, "--out", tmp_path / "out", "--json").stdout)
    assert value["exit_code"] == 2 and value["faults"][0]["path"] == "train/Tokyoo"
    for words, message in (
        (("msls", source), "is no Mapillary SLS"),
        (("msls", tmp_path / "none"), "there is no folder"),
        (("cityguessr68k", source, "--workers", "0"), "0 threads cannot read"),
    ):
        done = cgtool_inline("import", *words, "--out", tmp_path / "out")
        assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_the_other_commands_take_an_imported_data_set(tmp_path: Path) -> None:
    clips = {"train": ["Lima_6_00000", "Lima_6_00001", "Tokyo_1_00000"], "test": ["Lima_7_00084", "Tokyo_2_00000"]}
    source, out = write_cityguessr(tmp_path / "src", clips, frames=32), tmp_path / "out"
    assert cgtool_inline("import", "cityguessr68k", source, "--out", out).returncode == 0
    status = result_of(cgtool_inline("status", out, "--json"))
    assert (status["done"], status["asked"], status["clips"], status["frames"]) == (4, 4, 5, 160)
    stats = result_of(cgtool_inline("stats", out, "--json"))
    assert stats["levels"]["city"]["n_clips"] == 5 and stats["levels"]["city"]["n_classes"] == 2
    split = result_of(cgtool_inline("split", out, "--by", "clip", "--json"))
    assert split["n_clips"] == 5 and set(parts_of(out, "by-clip")) == {row["clip_id"] for row in table(out, "clips")}
    pack = tmp_path / "pack"
    assert cgtool_inline("bench", "pack", out, "--to", pack, "--preset", "tiny").returncode == 0


def test_lost_sources_are_told_by_the_other_commands(tmp_path: Path) -> None:
    clips = {"train": [f"Tokyo_{i:04d}" for i in range(5)], "test": ["Lyon_0000", "Lyon_0001"]}
    out = tmp_path / "out"
    assert (
        cgtool_inline("import", "cityguessr68k", write_cityguessr(tmp_path / "src", clips), "--out", out).returncode
        == 0
    )
    done = cgtool_inline("split", out, "--by", "video")
    assert done.returncode == 2 and "the source video of 7 of 7 clips is unknown" in done.stderr
    stats = cgtool_inline("stats", out, "--json")
    assert stats.returncode == 0 and result_of(stats)["notes"] == []
    assert result_of(cgtool_inline("status", out, "--json"))["clips"] == 7


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_is_ended_goes_on(name: signal.Signals, tmp_path: Path) -> None:
    clips = {"train": [f"Tokyo_{i}_00000" for i in range(60)]}
    source, out = write_cityguessr(tmp_path / "src", clips, frames=30), tmp_path / "out"
    words = [*CGTOOL, "import", "cityguessr68k", str(source), "--out", str(out), "--workers", "1"]
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ), preexec_fn=hear_ctrl_c
    )
    parts = out / "parts/clips"
    while process.poll() is None and len(list(parts.glob("*.parquet"))) < 3:
        time.sleep(0.01)
    process.send_signal(name)
    _, told = process.communicate(timeout=60)
    n_before = len(list(parts.glob("*.parquet")))
    if process.returncode != 0:  # it may have been quicker
        assert process.returncode == (130 if name == signal.SIGINT else -9), told
        assert n_before < 60
    done = result_of(cgtool_inline("import", "cityguessr68k", source, "--out", out, "--json"))
    assert done["counts"]["clips"] == 60 and done["run"]["already_done"] >= n_before
    assert len(table(out, "frames")) == 60 * 30 and len({row["clip_id"] for row in table(out, "clips")}) == 60


def test_the_last_line_says_what_is_still_unblurred(tmp_path: Path) -> None:
    source, out = small_cityguessr(tmp_path / "src"), tmp_path / "out"

    def solid(text: str) -> str:
        """Without blanks: a long path is broken anywhere."""
        return "".join(text.split())

    def last_line() -> str:
        done = cgtool_inline("import", "cityguessr68k", source, "--out", out)
        return solid(done.stdout.partition("frames      stay")[2])

    assert last_line() == solid(f"in {source}, as they came: `cgtool anonymise {out}` makes blurred copies")
    parts = sorted((out / "parts/clips").iterdir())
    for part in parts:
        rows = pq.read_table(part)
        blur = pa.array(["paper"] * len(rows), pa.string())
        pq.write_table(rows.set_column(rows.schema.get_field_index("blur"), rows.schema.field("blur"), blur), part)
        n_left = sum(row["blur"] is None for path in parts for row in pq.read_table(path).to_pylist())
        some = f"makes blurred copies of the other {n_left} clip"
        assert (solid(some) in last_line()) == (n_left > 0)
    assert last_line() == solid(f"in {source}, as they came; the tables name blurred copies in {out}")
    assert result_of(cgtool_inline("import", "cityguessr68k", source, "--out", out, "--json"))["unblurred"] == 0


@pytest.mark.parametrize("empty", [False, True])
def test_no_build_goes_into_an_import(tmp_path: Path, empty: bool) -> None:
    out = tmp_path / "out"
    source = write_cityguessr(tmp_path / "src", {"train": ["Tokyo_1_00000"], "test": ["Tokyo_1_00001"]})
    if empty:  # every clip was left out, or the import was killed before its first commit
        for path in source.rglob("1.jpg"):
            path.unlink()
    assert cgtool_inline("import", "cityguessr68k", source, "--out", out).returncode == int(empty)
    before = (out / "dataset.json").read_bytes()
    links = tmp_path / "links.csv"
    links.write_text("url,city\nwalk.mp4,Tokyo\n")
    (tmp_path / "walk.mp4").write_bytes(b"no video")
    done = cgtool_inline("build-dataset", links, "--out", out, "--detector", "mobilenet0.25", "--scene-model", "off")
    assert done.returncode == 2 and "holds a data set that was imported, not built" in done.stderr, done.stderr
    assert (out / "dataset.json").read_bytes() == before
