"""`cgtool bench evaluate` as a user runs it: a file of predictions, a run, a run by folds, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from cgtool.commands.bench_evaluate import evaluate
from cityguessr_bench.page.pictures import Frames
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.results import Results
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.types import LEVELS
from tests.support_predictions import SIZES, random_classes, random_predictions, write_both
from tests.support_runs import make_small_pack, make_small_run, small_config, write_split

APP = typer.Typer()
APP.command()(evaluate)


def run(*args: object) -> Result:
    """In this process: starting one takes seconds, and torch with it."""
    return CliRunner().invoke(APP, [str(arg) for arg in args], prog_name="cgtool bench evaluate")


def files(folder: Path) -> set[str]:
    """What lies in a folder, at any depth."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    classes = random_classes(n_unknown=1)
    return write_both(tmp_path / "p", classes, random_predictions(classes, 80))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Of a run that watches the part test and reports its best weights."""
    return make_small_run(tmp_path_factory.mktemp("trained"))


def test_a_file_is_scored_in_80_columns_and_nothing_is_written(predictions: Path) -> None:
    before = files(predictions.parent)
    done = run("--predictions", predictions)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.stdout
    text = " ".join(done.stdout.split())
    n_videos = len(set(pq.read_table(predictions)["video_id"].to_pylist()))
    assert f"80 clips of {n_videos} source videos, 14 cities, 12 states, 9 countries, 6 continents" in text
    tables = [line.split()[0] for line in lines if line.split() and not line.startswith(" ")]
    assert [name for name in tables if name == "codependent"] == ["codependent"] * 4
    assert "One city has no coordinates (city 13)" in text and "95 %, over source videos" in text
    assert files(predictions.parent) == before


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_other_widths_keep_the_names(predictions: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("--predictions", predictions)
    assert done.exit_code == 0 and max(map(len, done.stdout.splitlines())) <= columns
    assert ("–" in done.stdout.split("top-5")[0]) == (columns == 100)
    assert all(name in done.stdout for name in ("none", "independent", "codependent", "trace", "prior"))


def test_a_file_needs_no_torch(predictions: Path) -> None:
    code = (
        "import sys, typer; from cgtool.commands.bench_evaluate import evaluate; app = typer.Typer();"
        f"app.command()(evaluate); app(['--predictions', {str(predictions)!r}, '--json'], standalone_mode=False);"
        "print([m for m in ('torch', 'scipy', 'cv2', 'av', 'altair', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads(done.stdout.rsplit("\n", 2)[0])["n_clips"] == 80


def test_out_and_html_are_written_where_they_are_asked_for(predictions: Path, tmp_path: Path) -> None:
    done = run("--predictions", predictions, "--out", tmp_path / "o", "--html", tmp_path / "page.html", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "o" / "results.json").read_text()) == json.loads(done.stdout)
    assert (tmp_path / "page.html").read_text().lower().startswith("<!doctype html>")
    assert files(tmp_path / "o") == {"results.json"}
    assert run("--predictions", predictions, "--out", tmp_path / "q", "--no-html").exit_code == 0
    assert files(tmp_path / "q") == {"results.json"}


def test_the_taxonomy_may_lie_elsewhere(predictions: Path, tmp_path: Path) -> None:
    (predictions.parent / "taxonomy.parquet").rename(tmp_path / "t.parquet")
    assert run("--predictions", predictions, "--taxonomy", tmp_path / "t.parquet").exit_code == 0
    refused = run("--predictions", predictions)
    assert refused.exit_code == 2 and "taxonomy.parquet" in refused.stderr


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rows = pq.read_table(path)
    table = rows.to_pydict()
    change(table)
    pq.write_table(pa.table(table, schema=rows.schema), path)


def nan(table: dict[str, Any]) -> None:
    table["log_probs_city"][3][0] = float("nan")


def logits(table: dict[str, Any]) -> None:
    table["log_probs_state"] = [[x + 1 for x in row] for row in table["log_probs_state"]]


def twice(table: dict[str, Any]) -> None:
    table["clip_id"][1] = table["clip_id"][0]


def strange(table: dict[str, Any]) -> None:
    table["true_city"][0] = 99


@pytest.mark.parametrize(
    ("change", "says"),
    [(nan, "is NaN"), (logits, "not to 1"), (twice, "stands there twice"), (strange, "labels are 0 to 13")],
)
def test_broken_predictions_are_one_line_and_exit_code_2(
    predictions: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    changed(predictions, change)
    refused = run("--predictions", predictions, "--out", predictions.parent / "o")
    assert refused.exit_code == 2 and says in refused.stderr and refused.stderr.count("\n") == 1
    assert not refused.stdout and not (predictions.parent / "o").exists()


def test_predictions_of_another_taxonomy_are_refused(predictions: Path) -> None:
    random_classes(sizes={**SIZES, "city": 15}).write(predictions.parent / "taxonomy.parquet")
    refused = run("--predictions", predictions, "--json")
    assert refused.exit_code == 2 and "14 log-probabilities of level city, but it has 15" in refused.stderr
    assert json.loads(refused.stdout)["exit_code"] == 2


def test_options_that_do_not_fit_are_refused(predictions: Path, tmp_path: Path) -> None:
    for args, says in (
        ((), "expected the folder of a run, or --predictions FILE"),
        ((tmp_path, "--predictions", predictions), "expected the folder of a run, or --predictions FILE"),
        (("--predictions", predictions, "--part", "val"), "--part belongs to a run"),
        (("--predictions", predictions, "--weights", "best"), "--weights belongs to a run"),
        ((tmp_path, "--out", tmp_path), "--out belongs to --predictions"),
        ((tmp_path, "--taxonomy", predictions), "--taxonomy belongs to --predictions"),
        (("--predictions", predictions, "--html", "x.html", "--no-html"), "exclude each other"),
        (("--predictions", predictions, "--html", tmp_path), "is a folder"),
        (("--predictions", tmp_path / "none.parquet", "--taxonomy", predictions.parent / "taxonomy.parquet"),
         "there is no file"),
        ((tmp_path,), "is no run"),
    ):  # fmt: skip
        refused = run(*args)
        assert refused.exit_code == 2 and says in refused.stderr and refused.stderr.count("\n") == 1, args


def test_without_the_pages_packages_all_else_is_written(predictions: Path, tmp_path: Path) -> None:
    args = ["--predictions", str(predictions), "--out", str(tmp_path / "o")]
    code = (
        "import sys; sys.modules |= {'altair': None, 'jinja2': None};"  # None: an import raises ModuleNotFoundError
        "import typer; from cgtool.commands.bench_evaluate import evaluate; app = typer.Typer();"
        f"app.command()(evaluate); app({args!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert files(tmp_path / "o") == {"results.json"} and done.stdout
    assert done.stderr.startswith("no page was written: ") and done.stderr.count("\n") == 1
    assert f"cgtool bench evaluate --predictions {predictions} --html {tmp_path / 'o' / 'report.html'}" in done.stderr


def test_a_run_is_scored_and_keeps_its_files(trained: RunDir) -> None:
    done = run(trained.folder)
    assert (done.exit_code, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80 and "…" not in done.stdout
    text = " ".join(done.stdout.split())
    assert (
        "8 clips of 4 source videos, 4 cities, 4 states, 3 countries, 3 continents, the part test of the split v"
        in text
    )
    assert "the weights best on the part test" in text and "chosen by their city top-1 on the test part" in text
    value = json.loads(trained.results_path.read_text())
    assert value["origin"]["weights"] == "best" and value["other_weights"]["weights"] == "last"
    rows = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("last ", "best "))]
    expected = [value["other_weights"], value]
    for (name, shown), one in zip(rows, expected, strict=True):
        share = 100 * one["modes"]["codependent"]["city"]["top1"]["value"]
        assert name in ("last", "best") and float(shown) == pytest.approx(share, abs=0.051)
    assert trained.report_path.read_text().count("data:image/jpeg") > 3  # pictures of the pack
    invariants_hold(value)
    again = run("--predictions", trained.predictions_path, "--json")
    scored = json.loads(again.stdout)
    assert scored["modes"] == value["modes"] and scored["by_found"] == value["by_found"]


def invariants_hold(value: dict[str, Any]) -> None:
    """Of any correct evaluation, on the figures of a real one."""
    for figure in ("top1", "top5"):
        at = {mode: [scores[level][figure]["value"] for level in LEVELS] for mode, scores in value["modes"].items()}
        assert at["independent"][0] == at["codependent"][0] and at["none"][0] == at["trace"][0]
        assert at["none"][3] == at["independent"][3]
        assert at["codependent"] == sorted(at["codependent"]) and at["trace"] == sorted(at["trace"])
    assert value["modes"]["codependent"]["conflicts"]["value"] == 0 == value["modes"]["trace"]["conflicts"]["value"]


def test_the_model_of_a_run_says_what_its_file_says(trained: RunDir) -> None:
    """Labels of the test part by the split, log-probabilities by the network called here."""
    import torch

    from cityguessr_bench.inference import load_model
    from cityguessr_bench.pack.read import Pack

    assert run(trained.folder, "--weights", "last", "--no-html", "--json").exit_code == 0
    table = pq.read_table(trained.predictions_path).to_pylist()
    pack = Pack.open(trained.data_folder)
    test = [row["clip_id"] for row in pq.read_table(pack.folder / "splits" / "v.parquet").to_pylist()
            if row["part"] == "test"]  # fmt: skip
    assert sorted(row["clip_id"] for row in table) == sorted(test)
    model = load_model(trained, "last")
    for row in table:
        place = pack.clip_ids.index(row["clip_id"])
        assert row["true_city"] == pack.labels[place, 0] and row["video_id"] == row["clip_id"].rpartition("_")[0]
        with torch.inference_mode():
            out = model(torch.from_numpy(pack.clip(place))[None]).logits["city"]
        assert row["log_probs_city"] == pytest.approx(torch.log_softmax(out, 1)[0].tolist(), abs=1e-4)
    value = json.loads(trained.results_path.read_text())
    assert value["origin"]["weights"] == "last" and not any("chosen" in note for note in value["notes"])


def test_a_part_that_was_trained_on_is_told(trained: RunDir) -> None:
    done = run(trained.folder, "--part", "train", "--no-html")
    assert done.exit_code == 0 and "These are the clips that the run was trained on" in " ".join(done.stdout.split())
    assert "\nlast " not in done.stdout  # train chose nothing
    value = json.loads(trained.results_path.read_text())
    assert (value["n_clips"], value["origin"]["part"], value["train_priors"]["city"]["accuracy"]) == (16, "train", 0.25)
    refused = run(trained.folder, "--part", "val")
    assert refused.exit_code == 2 and "has no part val" in refused.stderr


def test_a_split_by_clip_is_told_to_flatter(tmp_path: Path) -> None:
    parts = ["train", "test"]
    pack = make_small_pack(tmp_path)
    ids = pq.read_table(tmp_path / "out" / "manifests" / "clips.parquet")["clip_id"].to_pylist()
    write_split(pack, "c", {clip: parts[i % 2] for i, clip in enumerate(ids)})
    train(TrainRequest(pack, tmp_path / "run", "c", small_config(train={"epochs": 1}), device="cpu"))
    done = run(tmp_path / "run", "--no-html")
    text = " ".join(done.stdout.split())
    assert "100.0% of the evaluated clips are of a source video that train has clips of" in text


def test_a_page_replaces_nothing_but_a_page(predictions: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("not to be lost")
    done = run("--predictions", predictions, "--html", mine)
    assert done.exit_code == 2 and "is there and is no page" in done.stderr
    assert mine.read_text() == "not to be lost"


def test_folds_are_scored_each_and_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make_small_pack(tmp_path)
    ids = pq.read_table(tmp_path / "out" / "manifests" / "clips.parquet")["clip_id"].to_pylist()
    for fold in range(3):
        write_split(pack, f"w-fold{fold}", {clip: "test" if f"{fold}_0" in clip else "train" for clip in ids})
    config = small_config(train={"watch": "none", "report": "last", "epochs": 1})
    train(TrainRequest(pack, tmp_path / "run", "w", config, device="cpu"))
    pages, folds_shown = {}, {}

    def page(
        results: Results, predictions: Predictions, _: object, frames: Frames, path: Path, *, other: object, folds: Any
    ) -> None:
        assert results.n_clips == len(predictions) and other is None
        pages[path], folds_shown[path] = {frames(clip_id).shape for clip_id in predictions.clip_ids}, folds
        path.write_text("a page")

    monkeypatch.setattr("cityguessr_bench.page.report.write_report", page)
    done = run(tmp_path / "run")
    assert len(pages) == 4 and set.union(*pages.values()) == {(4, 3, 16, 16)}
    assert [path.parent.name for path, folds in folds_shown.items() if folds is not None] == ["run"]
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80 and "…" not in done.stdout
    one_each = {"predictions.parquet", "results.json", "report.html"}
    for folder in (tmp_path / "run", *(tmp_path / "run" / f"fold{fold}" for fold in range(3))):
        assert one_each <= {path.name for path in folder.iterdir()}
    value = json.loads((tmp_path / "run" / "results.json").read_text())
    folds = [json.loads((tmp_path / "run" / f"fold{fold}" / "results.json").read_text()) for fold in range(3)]
    assert (value["n_clips"], [fold["n_clips"] for fold in folds], value["origin"]["split"]) == (24, [8, 8, 8], "w")
    city = [fold["modes"]["none"]["city"]["top1"]["value"] for fold in folds]
    spread = value["folds"]["modes"]["none"]["city"]["top1"]
    assert spread["values"] == city and spread["sd"] == pytest.approx(np.std(city, ddof=1))
    assert value["modes"]["none"]["city"]["top1"]["value"] == pytest.approx(np.mean(city))  # folds of one size
    invariants_hold(value)
    assert "3 folds" in done.stdout and " ± " in done.stdout
    assert run("--predictions", tmp_path / "run" / "predictions.parquet").exit_code == 0
