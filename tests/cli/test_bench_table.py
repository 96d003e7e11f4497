"""`cgtool bench table` and `leaderboard` as a user has them: every row of every table runs, at the smallest size."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.tables import build
from cityguessr_bench.tables.rows import TABLES, Row
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_fork import ROOT
from tests.support_runs import small_assignments, write_small_out, write_split

MODES = ("none", "independent", "codependent", "trace")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with scene labels of both kinds; its runs are shared by the tests of this file, as by a user's."""
    return write_small_out(tmp_path_factory.mktemp("world") / "out")


def _table(number: str, out: Path, *more: object, **sections: dict[str, Any]) -> list[object]:
    sections = {
        "train": {"epochs": 1, "watch": "none", "report": "last"},
        "text": {"encoder": "random-clip"},
    } | sections
    words = small_assignments(**{"network": {}, **sections})
    kept = [w for i, w in enumerate(words) if not {"network.tla=false"} & {w, *words[i + 1 : i + 2]}]
    return ["table", number, "--data", out, "--split", "v", "--device", "cpu", *kept, *more]


@pytest.mark.parametrize("number", TABLES)
def test_every_row_of_every_table_runs(bench: Any, world: Path, number: str) -> None:
    done = bench(*_table(number, world, "--json"))
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["complete"] and told["table"] == number
    table = TABLES[number]
    expected = {
        (row.key, metric, mode, level)
        for row in table.rows
        for metric in table.metrics
        for mode in ((row.mode,) if row.mode else MODES)
        for level in LEVELS
    }
    numbers = {(one["row"], one["metric"], one["mode"], one["level"]): one for one in told["numbers"]}
    assert set(numbers) == expected
    for key, one in numbers.items():
        assert 0 <= one["low"] <= one["ours"] <= one["high"] <= 1, key
        assert one["spread"] is None and one["parameters"] > 1000 and one["clips"] == 8
        assert (one["difference"] is None) == (one["row"] == table.reference or table.reference is None)
        if one["row"] != "trace":
            assert 0.4 < one["paper"] < 1
    # what any correct evaluation satisfies (hierarchy.py)
    for row in table.rows:
        if row.mode is None:
            for metric in table.metrics:
                share = {
                    (mode, level): numbers[row.key, metric, mode, level]["ours"] for mode in MODES for level in LEVELS
                }
                traced = [share["codependent", level] for level in LEVELS]
                assert share["independent", "city"] == share["codependent", "city"] and traced == sorted(traced)


def test_tables_share_their_runs(bench: Any, world: Path) -> None:
    """After all tables: as many folders as there are different runs, and the same command trains nothing more."""
    for number in TABLES:
        assert bench(*_table(number, world, "--dry-run", "--json")).code == 0
    done = bench(*_table("5", world))
    assert done.code == 0 and "trains" not in done.err and "is scored" not in done.err


def test_on_the_terminal_it_fits_80_columns_and_says_what_it_is(bench: Any, world: Path) -> None:
    done = bench(*_table("5", world, "--seeds", 2))
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 80
    text = " ".join(done.out.split())
    for words in (
        "Table 5: State of the art, accuracy in %",
        "69.6 70.2 74.8 83.8",
        "mode not stated",
        "codependent*",
        "Ours: stated in section 4.6",
        "8 test clips, source videos 4",
        "Prior, always guessing the most frequent class of train: city 25.0, state 25.0, country 50.0, continent 50.0",
        "The paper's numbers are of CityGuessr68k's published split, ours are of other clips",
        "means of 2 seeds",
        "points above Ours, paired by clip",
        "no larger than its spread over seeds",
        "the text encoder is a tiny one with random weights",
        "--set data.frames=4 does not hold for PlaNet, ISNs, GeoDecoder",
    ):
        assert words in text, words
    assert re.search(r"25\.0 ±\d+\.\d", done.out)
    assert "spread over seeds is not measured" in bench(*_table("3", world)).out


def test_formats(bench: Any, world: Path, tmp_path: Path) -> None:
    done = bench(*_table("4", world, "--format", "csv"))
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert done.code == 0 and len(rows) == 4 * 4
    assert {row["mode"] for row in rows if row["row"] == "codependent"} == {"codependent"}
    assert [row["paper"] for row in rows if row["row"] == "codependent"] == ["0.696", "0.702", "0.748", "0.838"]
    for form, begins in (("md", "**Table 4"), ("latex", "% needs"), ("html", "<!doctype html>")):
        to = tmp_path / f"t.{form}"
        done = bench(*_table("4", world, "--format", form, "--out", to))
        assert (done.code, done.out) == (0, "") and to.read_text().startswith(begins)


def test_one_row_alone(bench: Any, world: Path) -> None:
    done = bench(*_table("2", world, "--row", "mae-last", "--json"))
    assert done.code == 0 and {one["row"] for one in json.loads(done.out)["numbers"]} == {"mae-last"}
    assert bench(*_table("2", world, "--row", "mae")).code == 2


def test_dry_run_lists_and_makes_nothing(bench: Any, tmp_path: Path) -> None:
    out = write_small_out(tmp_path / "out")
    done = bench(*_table("5", out, "--dry-run"))
    text = " ".join(done.out.split())
    assert done.code == 0 and text.count("missing") == 6 and "16 x 1" in text and "Estimate: " in text
    assert "To be trained: 6 of 6 runs" in text and max(map(len, done.out.splitlines())) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    told = json.loads(bench(*_table("5", out, "--dry-run", "--json")).out)
    assert [run["state"] for run in told["runs"]] == ["missing"] * 6
    assert all(run["h100_hours"] > 0 and run["measured_hours"] is None for run in told["runs"])


def test_dry_run_tells_what_was_measured(bench: Any, world: Path) -> None:
    assert bench(*_table("5", world, "--row", "videomae")).code == 0
    told = json.loads(bench(*_table("5", world, "--dry-run", "--row", "videomae", "--seeds", 9, "--json")).out)
    assert (told["runs"][0]["state"], told["runs"][-1]["state"]) == ("scored", "missing")
    hours = {run["measured_hours"] for run in told["runs"]}
    assert len(hours) == 1 and 0 < hours.pop() < 1


def test_a_row_whose_checkpoint_is_not_here_is_left_out_and_said(bench: Any, world: Path) -> None:
    """Two rows of one table, and the text encoder of one of them is nowhere."""
    rows = ("--row", "none", "--row", "tla-all")
    done = bench(*_table("3", world, *rows, text={"encoder": "nobody/nothing"}))
    text = " ".join(done.out.split())
    assert done.code == 1 and "Not run: soft, TLA all: " in text and "nobody/nothing" in text and "None" not in text
    told = json.loads(bench(*_table("3", world, *rows, "--json", text={"encoder": "nobody/nothing"})).out)
    assert not told["complete"]
    left_out = [one for one in told["numbers"] if one["row"] == "tla-all"]
    assert len(left_out) == 16 and all(one["ours"] is None and one["why_not"] for one in left_out)
    assert all(one["ours"] is not None for one in told["numbers"] if one["row"] == "none")


def test_without_scene_labels_those_rows_are_left_out_and_said(bench: Any, tmp_path: Path) -> None:
    out = write_small_out(tmp_path / "out", scenes=(False,))
    done = bench(*_table("3", out))
    text = " ".join(done.out.split())
    assert done.code == 1 and text.count("not run") >= 4 and "64.5" in text and "69.6" in text
    assert "no clip to train on has labels of 16 scenes" in text and "cgtool label-scenes" in text
    assert len(list((tmp_path / "out.runs").iterdir())) == 1  # VideoMAE alone
    planned = bench(*_table("3", out, "--dry-run"))
    assert planned.code == 0 and planned.out.count("cannot run") == 4
    nothing = bench(*_table("4", out))
    assert nothing.code == 2 and nothing.out == "" and "cgtool label-scenes" in nothing.err


def test_table_1_has_the_papers_counts_beside_ours(bench: Any, world: Path) -> None:
    done = bench("table", "1", "--data", world, "--json")
    told = json.loads(done.out)["data"]
    assert done.code == 0 and list(told) == ["out", "CityGuessr68k (paper)", "Mapillary (paper)"]
    assert [told[name]["Number of samples"] for name in told] == ["24", "68,269", "14,965"]
    assert [told[name]["Number of cities"] for name in told] == ["4", "166", "30"]
    assert [told[name]["Number of countries"] for name in told] == ["3", "91", "24"]
    both = bench("table", "1", "--data", world, "--compare", world, "--format", "md")
    assert both.code == 0 and "out (2)" in both.out.replace("\\", "")


def test_what_is_refused_before_anything_runs(bench: Any, world: Path, tmp_path: Path) -> None:
    for words, said in (
        ((*_table("7", world),), "there is no table '7'"),
        ((*_table("5", tmp_path),), "is no data set"),
        ((*_table("5", world, "--format", "pdf"),), "there is no format 'pdf'"),
        ((*_table("5", world, "--out", tmp_path / "x"),), "--out takes a --format"),
        ((*_table("5", world, "--format", "md", "--out", tmp_path),), "is a folder"),
        ((*_table("5", world, "--format", "md", "--json"),), "exclude each other"),
        ((*_table("5", world, "--compare", world),), "--compare belongs to table 1"),
        (("table", "5", "--data", world), "has no split video; it has v"),
        (("leaderboard", tmp_path), "holds no scored run"),
        (("leaderboard", tmp_path, "--mode", "best"), "there is no mode 'best'"),
    ):
        done = bench(*words)
        assert done.code == 2 and said in done.err, (words, done.err)


def test_leaderboard_never_ranks_other_clips_together(bench: Any, world: Path, tmp_path: Path) -> None:
    assert bench(*_table("5", world, "--seeds", 2)).code == 0
    runs = world.with_name("out.runs")
    board = tmp_path / "board"
    for path in runs.iterdir():
        if path.name.startswith(("videomae-", "timesformer-")):
            shutil.copytree(path, board / path.name)
    other = write_small_out(tmp_path / "other", part_of_video=("test", "train", "train"))
    assert bench(*_table("5", other, "--runs", board / "deep", "--row", "videomae")).code == 0
    told = json.loads(bench("leaderboard", board, "--json").out)["boards"]
    assert sorted((one["data"], len(one["entries"])) for one in told) == [("other", 1), ("out", 2)]
    mine = next(one for one in told if one["data"] == "out")
    assert [len(entry["runs"]) for entry in mine["entries"]] == [2, 2]
    cities = [entry["city"]["value"] for entry in mine["entries"]]
    assert cities == sorted(cities, reverse=True) and all(one["published"] == [] for one in told)
    shown = bench("leaderboard", board)
    assert shown.code == 0 and "not shown beside other clips" in " ".join(shown.out.split())
    assert max(map(len, shown.out.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(bench("leaderboard", board, "--format", "csv").out)))
    assert {row["rank"] for row in rows} == {"1", "2"} and {row["seeds"] for row in rows} == {"1", "2"}


def test_docs_list_every_row_with_its_command() -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`cgtool bench table (\w+) --data OUT --row ([\w-]+)`", text))
    assert listed == {(number, row.key) for number, table in TABLES.items() for row in table.rows}
    assert "`cgtool bench table 1 --data OUT`" in text
    assert os.environ.get("WORLD_SIZE") is None


def test_dry_run_foresees_what_the_table_would_refuse(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another split since, settings that do not fit, a damaged neighbour, and a checkpoint that is not here."""
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    out = write_small_out(tmp_path / "out")
    assert bench(*_table("5", out, "--row", "videomae")).code == 0
    stranger = tmp_path / "out.runs" / "stranger"
    stranger.mkdir()
    (stranger / "config.json").write_text("{")
    (stranger / "results.json").write_text("{")
    words = ("--dry-run", "--json")

    def planned(*more: object, **sections: dict[str, Any]) -> dict[str, Any]:
        done = bench(*_table("5", out, *more, *words, **sections))
        assert done.code == 0, done.err
        return dict(json.loads(done.out))

    [known] = planned("--row", "videomae")["runs"]
    assert (known["state"], known["why_not"]) == ("scored", None)
    write_split(out, "v", {clip: "test" if clip.startswith("tokyo") else "train" for clip in _clips(out)})
    [turned] = planned("--row", "videomae")["runs"]
    assert "was made with another split" in turned["why_not"]
    far = planned("--row", "ours", text={"encoder": "nobody/nothing"})["runs"]
    assert far[0]["to_fetch"] == ["nobody/nothing"]
    shown = " ".join(
        bench(*_table("5", out, "--row", "ours", "--dry-run", text={"encoder": "nobody/nothing"})).out.split()
    )
    assert "Not on this machine, fetched from the hub when a run begins: nobody/nothing" in shown
    real = build.settings_of

    def none_for_videomae(row: Row, base: RunConfig, seed: int) -> RunConfig:
        if row.model == "videomae":
            raise InputError("these settings do not fit together", "")
        return real(row, base, seed)

    monkeypatch.setattr(build, "settings_of", none_for_videomae)
    odd = planned("--row", "planet", "--row", "videomae")
    assert list(odd["left_out"]) == ["VideoMAE"] and len(odd["runs"]) == 1


def test_a_damaged_run_is_the_fault_of_its_row_alone(bench: Any, tmp_path: Path) -> None:
    out = write_small_out(tmp_path / "out")
    assert bench(*_table("5", out, "--row", "videomae")).code == 0
    next((tmp_path / "out.runs").glob("videomae-*/results.json")).write_text("{")
    told = json.loads(bench(*_table("5", out, "--row", "videomae", "--row", "planet", "--dry-run", "--json")).out)
    assert [("is damaged" in (run["why_not"] or "")) for run in told["runs"]] == [False, True]


def test_the_highest_constant_guess_and_chosen_weights_are_told(bench: Any, tmp_path: Path) -> None:
    """Train has twice as many of Tokyo, the test part of Osaka: the prior of train is not the most that a guess has."""
    out = write_small_out(tmp_path / "out")
    few = {"tokyo2", "london1", "brisbane1", "osaka0"}
    parts = dict.fromkeys(_clips(out), "train")
    parts |= {clip: "test" for clip in parts if clip.startswith(("osaka1", "osaka2", *few - {"osaka0"}))}
    write_split(out, "v", parts)
    watched = {"epochs": 1, "watch": "test", "report": "best"}
    done = bench(*_table("5", out, "--row", "videomae", "--json", train=watched))
    told = json.loads(done.out)
    city = next(one for one in told["numbers"] if one["level"] == "city")
    # 10 test clips: Osaka 4, the others 2 each; of train's most frequent cities none is Osaka
    assert (city["clips"], city["prior"], city["prior_test"]) == (10, 0.2, 0.4)
    assert any("chosen by their city top-1 on these very clips" in one for one in told["remarks"])
    text = " ".join(bench(*_table("5", out, "--row", "videomae", train=watched)).out.split())
    assert "the most frequent class of the test clips, which nobody knows, would have: city 40.0" in text
    assert "chosen by their city top-1 on these very clips" in text


def test_table_6_is_never_of_the_published_split(bench: Any, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are of Mapillary, whatever the data is called."""
    monkeypatch.setattr("cityguessr_bench.tables.build.is_published_split", lambda *_: True)
    assert "compare the order of rows" not in bench(*_table("5", world, "--row", "videomae")).out.replace(
        "\n        ", " "
    )
    assert "compare the order of rows" in " ".join(bench(*_table("6", world, "--row", "videomae")).out.split())


def _clips(out: Path) -> list[str]:
    return [str(name) for name in pq.read_table(out / "manifests" / "clips.parquet")["clip_id"].to_pylist()]
