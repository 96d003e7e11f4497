"""`cgtool stats` as a user runs it: what it prints at 80 columns, its JSON, its one-line errors."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.support_build import CGTOOL, SHORT, cgtool, result_of, write_sources
from tests.support_out import random_rows, write_out
from tests.support_video import numbered_video


def _counts(folder: Path, name: str = "counts", rows: str = "London,30\nTokyo,10\nLyon,20\n") -> Path:
    path = folder / f"{name}.csv"
    path.write_text("city,count\n" + rows, encoding="utf-8")
    return path


def test_the_table_fits_80_columns(tmp_path: Path) -> None:
    out = write_out(tmp_path / "streets", random_rows(seed=6, n_videos=40))
    done = cgtool("stats", out, "--compare", _counts(tmp_path), env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.stdout
    assert lines[0].startswith("streets: ")
    for word in ("city", "state", "country", "continent", "Lorenz, city", "scenes", "faces", "no leakage"):
        assert any(line.startswith(word) for line in lines), word
    assert "Number of samples" in done.stdout and "minus streets" in done.stdout


def test_the_lorenz_line_is_the_curve(tmp_path: Path) -> None:
    """Three even cities: both lines are the same. One that has nearly all: the curve stays at the bottom to the end."""
    even = cgtool("stats", _counts(tmp_path, rows="London,5\nTokyo,5\nLyon,5\n")).stdout.splitlines()
    curve, diagonal = (next(x for x in even if x.startswith(start)).split()[-1] for start in ("Lorenz", "if even"))
    assert curve == diagonal and len(curve) == 40
    steep = cgtool("stats", _counts(tmp_path, rows="London,1\nTokyo,1\nLyon,998\n")).stdout.splitlines()
    curve = next(x for x in steep if x.startswith("Lorenz")).split()[-1]
    assert set(curve[:26]) == {"▁"} and curve[-1] == "█"


def test_json_is_one_object_on_stdout(tmp_path: Path) -> None:
    value = result_of(cgtool("stats", _counts(tmp_path), "--json"))
    # By hand: (2 * (1*10 + 2*20 + 3*30) / (3 * 60)) - 4 / 3 = 2 / 9; half of |30-20| + |10-20| over 60 = 1 / 6
    assert value["levels"]["city"]["gini"]["value"] == pytest.approx(2 / 9)
    assert value["levels"]["city"]["hoover"]["value"] == pytest.approx(1 / 6)
    assert (value["levels"]["city"]["n_classes"], value["levels"]["city"]["n_clips"]) == (3, 60)


@pytest.mark.parametrize(
    ("rows", "said"),
    [("London,-3\n", "line 2: count: expected 0 or more, got -3"), ("London,0\n", "line 2: every count is 0")],
)
def test_bad_tables_end_with_exit_code_2(tmp_path: Path, rows: str, said: str) -> None:
    done = cgtool("stats", _counts(tmp_path, rows=rows))
    assert done.returncode == 2 and said in done.stderr and not done.stdout
    as_json = cgtool("stats", _counts(tmp_path, rows=rows), "--json")
    assert as_json.returncode == 2 and json.loads(as_json.stdout)["faults"][0][0] == 2


def test_names_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    done = cgtool("stats", _counts(tmp_path, rows="\x1b[31mRed[bold],4\nTokyo,3\n"))
    assert done.returncode == 0
    assert not [c for c in done.stdout if unicodedata.category(c) == "Cc" and c != "\n"]
    assert "Red[bold]" in done.stdout


def test_a_build_and_its_page_and_figures(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "walk.mp4", 60)
    table = write_sources(tmp_path / "sources.csv", [{"url": "walk.mp4", "city": "Tokyo"}])
    env = {"CGTOOL_WEIGHTS": str(detector_weights.parent)}
    assert cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT, env=env).returncode == 0
    before = files_of(tmp_path / "out")
    done = cgtool("stats", tmp_path / "out", "--html", tmp_path / "page.html", "--figures", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    assert "no scenes" in done.stdout and "no clip has a scene label" in done.stdout
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "figures" / "lorenz.svg").is_file() and (tmp_path / "figures" / "lorenz.png").is_file()
    assert files_of(tmp_path / "out") == before  # measuring changes nothing


# Where the page and the figures may go.


@pytest.mark.parametrize(
    "target",
    ["counts.csv", "other.csv", "places.csv", "split.parquet", "streets/manifests/page.html", "streets/dataset.json",
     "streets/clips/a/b.html", "streets/.cgtool", "notes.txt", "link.html", "", "streets"],
)  # fmt: skip
def test_the_page_replaces_nothing_but_a_page(tmp_path: Path, target: str) -> None:
    out = write_out(tmp_path / "streets", random_rows(n_videos=3))
    data, other = _counts(tmp_path), _counts(tmp_path, "other")
    for name in ("places.csv", "split.parquet", "notes.txt"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "link.html").symlink_to(data)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    page = tmp_path / target if target else ""
    inputs = (data, "--compare", other, "--compare", out)
    if target in ("places.csv", "split.parquet"):
        inputs = (data, "--taxonomy", tmp_path / "places.csv", "--split", tmp_path / "split.parquet")
    done = cgtool("stats", *inputs, "--html", page)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("error: --html ")
    assert done.stderr.count("\n") == 1
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_page_is_replaced_by_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!DOCTYPE HTML><title>of yesterday</title>")
    done = cgtool("stats", _counts(tmp_path), "--html", page, "--json")
    assert (done.returncode, done.stderr) == (0, f"page: {page}\n")
    assert "of yesterday" not in page.read_text(encoding="utf-8")
    assert json.loads(done.stdout)["n_clips"] == 60


@pytest.mark.parametrize("option", ["--html", "--figures"])
@pytest.mark.parametrize("target", ["counts.csv/below", "counts.csv", "/proc/nowhere/a.html"])
def test_a_place_that_cannot_be_written_ends_with_one_line_and_one_object(
    tmp_path: Path, option: str, target: str
) -> None:
    done = cgtool("stats", _counts(tmp_path), option, tmp_path / target, "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["exit_code"] == 2
    assert done.stderr.startswith(f"error: {option} ") and done.stderr.count("\n") == 1
    assert "fault" not in done.stderr


# What is printed.


@pytest.mark.parametrize("width", [40, 60, 69])
def test_narrow_terminals_lose_the_intervals_and_not_the_labels(tmp_path: Path, width: int) -> None:
    data, others = _counts(tmp_path), [_counts(tmp_path, f"other{i}") for i in range(5)]
    done = cgtool("stats", data, *(x for o in others for x in ("--compare", o)), env={"COLUMNS": str(width)})
    assert "–0." not in done.stdout and "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= width
    for label in ("continent ", "Samples with 15 frames or more ", "Number of states/provinces "):
        assert any(line.startswith(label) for line in done.stdout.splitlines()), label


def test_many_data_sets_keep_the_labels_of_table_1(tmp_path: Path) -> None:
    others = [_counts(tmp_path, f"other{i}") for i in range(9)]
    done = cgtool("stats", _counts(tmp_path), *(x for o in others for x in ("--compare", o)), env={"COLUMNS": "80"})
    rows = [line for line in done.stdout.splitlines() if line.startswith("Samples with 15 frames or more ")]
    assert sum(row.count("not known") for row in rows) == 10
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_differences_of_few_classes_are_marked(tmp_path: Path) -> None:
    many = "".join(f"City {i},{i + 1}\n" for i in range(60))
    few = cgtool("stats", _counts(tmp_path), "--compare", _counts(tmp_path, "b", many), env={"COLUMNS": "80"}).stdout
    assert any(line.startswith("b  ") and "~+" in line for line in few.splitlines())
    assert "~ fewer than 50 classes on a side" in few
    enough = _counts(tmp_path, "c", many), _counts(tmp_path, "d", many)
    done = cgtool("stats", enough[0], "--compare", enough[1], env={"COLUMNS": "80"})
    assert "minus c" in done.stdout and "~" not in done.stdout
    assert "+0.00" in done.stdout and "-0.00 " not in done.stdout


def test_one_of_each_and_very_many(tmp_path: Path) -> None:
    one = cgtool("stats", _counts(tmp_path, rows="London,1\n")).stdout
    assert one.startswith("counts: 1 clip\n") and "1 city with fewer than 100 clips" in one
    assert "median 1, most often 1\n" in one
    assert "intervals" not in one  # no level has one
    many = cgtool("stats", _counts(tmp_path, rows="London,9007199254740991\nLyon,1\n"), env={"COLUMNS": "200"}).stdout
    assert "1 to 9,007,199,254,740,991, median 4,503,599,627,370,496" in many and "e+" not in many
    assert not [line for line in many.splitlines() if line != line.rstrip()]


def test_the_fullest_bin_in_whole_numbers() -> None:
    from cgtool.stats_summary import _fullest
    from cityguessr_data.stats.distribution import describe

    for values, expected in (([5, 5, 5], "5"), ([1, 2, 2, 3], "2"), ([53, *range(210, 290), 2036], "200 to 299")):
        spread = describe(values)
        assert spread is not None and _fullest(spread) == expected


def test_long_names_are_cut(tmp_path: Path) -> None:
    name = "x" * 5_000
    done = cgtool("stats", _counts(tmp_path, rows=f"{name},5\nLondon,3\n"))
    assert len(done.stdout) < 3_000 and "x" * 20 in done.stdout and "…" in done.stdout


# Where it is printed.


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_is_too_poor(tmp_path: Path, encoding: str) -> None:
    data = _counts(tmp_path, rows="Malmö,5\n東京,3\n")
    for args in ((), ("--json",)):
        done = subprocess.run(
            [*CGTOOL, "stats", str(data), *args], capture_output=True, check=False,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
    names = [c["name"] for c in json.loads(done.stdout.decode(encoding))["levels"]["city"]["classes"]]
    assert names == ["Malmö", "東京"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [(), ("--json",)])
@pytest.mark.parametrize("name", ["counts.csv", "none.csv"])
def test_output_that_cannot_be_written_ends_with_one_line(tmp_path: Path, args: tuple[str, ...], name: str) -> None:
    _counts(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*CGTOOL, "stats", str(tmp_path / name), *args], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "fault" not in done.stderr


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_a_reader_that_goes_is_no_fault(tmp_path: Path, args: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*CGTOOL, "stats", str(_counts(tmp_path)), *args], stdout=write, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def files_of(folder: Path) -> dict[Path, bytes]:
    """What lies in a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
