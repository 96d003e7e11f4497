"""`cgtool stats` as a user runs it: what it prints at 80 columns, its JSON, its one-line errors."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from tests.support_build import SHORT, cgtool, result_of, write_sources
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
    done = cgtool("stats", tmp_path / "out", "--html", tmp_path / "page.html", "--figures", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    assert "no scenes" in done.stdout and "no clip has a scene label" in done.stdout
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "figures" / "lorenz.svg").is_file() and (tmp_path / "figures" / "lorenz.png").is_file()
    assert not list((tmp_path / "out").glob("**/*.html.*"))
