"""`cgtool bench audit` as a user runs it: the table, its forms, the splits, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from cgtool.commands.bench_audit import audit
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_dir import RunDir
from cityguessr_data.core.errors import WeightsError
from tests.support_runs import make_small_run, small_config, write_split

APP = typer.Typer()
APP.command()(audit)


def run(*args: object) -> Result:
    """In this process: starting one takes seconds, and torch with it."""
    return CliRunner().invoke(APP, [str(arg) for arg in args], prog_name="cgtool bench audit")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    config = small_config(train={"epochs": 1, "watch": "none", "report": "last"})
    opened = make_small_run(tmp_path_factory.mktemp("audit"), config)
    ids = Pack.open(opened.data_folder).clip_ids
    write_split(opened.data_folder, "by-clip", {clip: "test" if clip.endswith("1") else "train" for clip in ids})
    write_split(opened.data_folder, "by-video", {clip: "test" if "2_" in clip else "train" for clip in ids})
    return opened


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)


def test_the_table_fits_80_columns_and_says_what_is_not_measured(trained: RunDir) -> None:
    before = sorted(path for path in trained.folder.rglob("*"))
    done = run(trained.folder, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80 and "…" not in done.stdout
    for words in ("Shortcut audit of run: 8 clips of 4 source videos", "mirrored", "borders masked", "against"):
        assert words in done.stdout
    told = " ".join(done.stdout.split())
    assert "Readable text masked: not measured: the text detector is not here; cgtool weights pull text-ppocr" in told
    assert "scored: mirrored" in done.stderr
    assert sorted(path for path in trained.folder.rglob("*")) == before


def test_forms(trained: RunDir) -> None:
    texts = {form: run(trained.folder, "--device", "cpu", "--format", form) for form in ("md", "csv", "latex", "html")}
    assert {form: done.exit_code for form, done in texts.items()} == dict.fromkeys(texts, 0)
    begins = {"md": "**Shortcut audit", "csv": "row,figure,mode", "latex": "% needs", "html": "<!doctype html>"}
    for form, words in begins.items():
        assert texts[form].stdout.lower().startswith(words.lower())
    value = json.loads(run(trained.folder, "--device", "cpu", "--json").stdout)
    assert value["n_clips"] == 8 and value["splits"] is None
    assert [row["change"] for row in value["changes"]][:2] == ["as it is", "a single frame"]


def test_text_is_looked_for_where_the_detector_is(trained: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Detector:
        def __init__(self, *, device: str) -> None:
            asked.append(device)

        def __call__(self, frames: Any) -> Any:
            return np.ones(frames.shape[:3], bool) & (np.arange(frames.shape[2]) < 4)

    from cityguessr_data.vision.weights import WeightsStatus

    monkeypatch.setattr(
        "cityguessr_data.vision.weights.verify", lambda name: WeightsStatus(name, "ok", None, None, None, "", "")
    )
    monkeypatch.setattr("cityguessr_data.vision.text_detector.TextDetector", Detector)
    value = json.loads(run(trained.folder, "--device", "cpu", "--json").stdout)
    (row,) = (row for row in value["changes"] if row["change"] == "readable text" and not row["control"])
    assert row["hidden"] == {"share": 0.25, "n_clips": 8} and asked == ["cpu"]


def test_damaged_detector_weights_stop_it(trained: RunDir, tmp_path: Path) -> None:
    """Other bytes than the pinned ones are not passed over as if there were none."""
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    (tmp_path / "cache" / "weights" / "text_ppocr_v4_det.onnx").write_bytes(b"another")
    done = run(trained.folder, "--device", "cpu")
    assert done.exit_code == WeightsError.exit_code == 2
    assert "is not the file it should be" in done.stderr


def test_splits_are_trained_and_one_that_cannot_be_is_said(trained: RunDir, tmp_path: Path) -> None:
    args = (trained.folder, "--device", "cpu", "--splits", "clip, video,clip,channel", "--runs", tmp_path / "runs")
    done = run(*args)
    assert done.exit_code == 1, done.stderr
    told = " ".join(done.stdout.split())
    assert "The same settings by split" in told and "100% videos seen" in told and "0% videos seen" in told
    assert "by-channel: not possible: the pack has no such split; cgtool split OUT --by channel" in told
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert len(list((tmp_path / "runs").iterdir())) == 2
    again = run(*args)
    assert again.stdout == done.stdout and "trains" not in again.stderr


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--format", "pdf"], "there is no format 'pdf'"),
        (["--format", "md", "--json"], "exclude each other"),
        (["--splits", "clip"], "--splits and --runs belong together"),
        (["--runs", "r"], "--splits and --runs belong together"),
        (["--splits", " , ", "--runs", "r"], "--splits names no split"),
        (["--device", "tpu"], "there is no device 'tpu'"),
        (["--part", "val"], "has no part val"),
        (["--data", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_refusals(trained: RunDir, args: list[str], error: str) -> None:
    done = run(trained.folder, *(["--device", "cpu"] if "--device" not in args else []), *args)
    assert done.exit_code == 2 and error in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_no_run(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.exit_code == 2 and "is no run" in done.stderr
