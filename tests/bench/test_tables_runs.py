"""Rows, and the runs that they stand for: shared over tables, reused, resumed, refused where the data has changed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cityguessr_bench.evaluate_run import score_run
from cityguessr_bench.models import find_model
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.presets import preset
from cityguessr_bench.results_json import to_json
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.tables.rows import TABLES, find_table, overruled, settings_of
from cityguessr_bench.tables.runs import RunSpec, ensure, measured_clips_per_s, state
from cityguessr_bench.tables.source import Source
from cityguessr_data.core.errors import InputError
from tests.support_runs import CITIES, small_config, write_small_out, write_split

PAPER = preset("paper")


def _small(**train: Any) -> RunConfig:
    return small_config(train={"epochs": 1, **train}, network={"scenes": False})


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSpec, Path, Path]:
    """A run, the data and the folder of runs."""
    folder = tmp_path_factory.mktemp("scored")
    out = write_small_out(folder / "out")
    spec = RunSpec(_small(), "v")
    ensure(spec, out, folder / "runs", device="cpu")
    return spec, out, folder / "runs"


@pytest.fixture
def again(scored: tuple[RunSpec, Path, Path], tmp_path: Path) -> tuple[RunSpec, Path, Path]:
    """The same, in folders that a test may change; modification times are kept."""
    spec, out, runs = scored
    shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(out, tmp_path / "out")
    return spec, tmp_path / "out", tmp_path / "runs"


def test_rows_ask_for_the_settings_that_the_paper_names() -> None:
    """Table by table, what is set; the rest is the preset's."""
    expected: dict[tuple[str, str], dict[str, Any]] = {
        ("2", "mae-first"): {"model": "mae", "frames": 1, "pick": "first", "scenes": False, "tla": False},
        ("2", "mae-middle"): {"model": "mae", "frames": 1, "pick": "middle"},
        ("2", "mae-last"): {"model": "mae", "frames": 1, "pick": "last"},
        ("2", "mae-random"): {"model": "mae", "frames": 1, "pick": "random"},
        ("2", "videomae"): {"model": "videomae", "frames": 15, "pick": "spread", "scenes": False, "tla": False},
        ("3", "none"): {"model": "videomae", "scenes": False, "tla": False},
        ("3", "majority"): {"model": "cityguessr", "scenes": True, "scene_target": "majority", "tla": False},
        ("3", "soft"): {"scenes": True, "scene_target": "soft", "tla": False},
        ("3", "tla-city"): {"scenes": True, "scene_target": "soft", "tla": True, "strategy": "city"},
        ("3", "tla-all"): {"scenes": True, "tla": True, "strategy": "all", "encoder": "clip"},
        ("5", "planet"): {"frames": 1, "pick": "random", "scenes": False, "tla": False},
        ("5", "isns"): {"model": "isns", "frames": 1, "pick": "random"},
        ("5", "geodecoder"): {"model": "geodecoder", "frames": 1, "pick": "random", "scenes": True, "tla": False},
        ("5", "timesformer"): {"model": "timesformer", "frames": 15, "scenes": False, "tla": False},
        ("5", "ours"): {"model": "cityguessr", "n_scenes": 16, "scenes": True, "tla": True, "encoder": "clip"},
        ("s1", "16"): {"n_scenes": 16, "scenes": True, "tla": False},
        ("s1", "365"): {"n_scenes": 365, "scenes": True, "tla": False},
        ("s2", "without"): {"scenes": True, "tla": False},
        ("s2", "opt"): {"encoder": "opt", "tla": True, "scenes": True},
        ("s2", "bert"): {"encoder": "bert", "tla": True},
        ("s2", "gpt2"): {"encoder": "gpt2", "tla": True},
        ("s2", "clip"): {"encoder": "clip", "tla": True},
    }
    for (number, key), wanted in expected.items():
        config = settings_of(find_table(number).find((key,))[0], PAPER, 0)
        flat = {"model": config.model}
        for section in ("data", "network", "text", "train"):
            flat |= dataclasses.asdict(getattr(config, section))
        assert {name: flat[name] for name in wanted} == wanted, (number, key)
        assert (config.train.epochs, config.train.batch, config.data.stored_frames) == (10, 12, 15)


def test_a_row_of_several_tables_is_one_run() -> None:
    def name(number: str, key: str) -> str:
        return RunSpec(settings_of(find_table(number).find((key,))[0], PAPER, 0), "v").name

    assert len({name("2", "videomae"), name("3", "none"), name("5", "videomae"), name("6", "videomae")}) == 1
    ours = [("3", "tla-all"), ("5", "ours"), ("6", "ours"), ("s2", "clip"), ("s3", "ours")]
    assert len({name(*place) for place in [*ours, *(("4", row.key) for row in TABLES["4"].rows)]}) == 1
    assert len({name("3", "soft"), name("s1", "16"), name("s2", "without")}) == 1
    assert name("2", "mae-random") == name("5", "planet")
    every = {name(number, row.key) for number, table in TABLES.items() for row in table.rows}
    assert len(every) == 4 + 1 + 3 + 1 + 3 + 1 + 3  # MAE; VideoMAE; Table 3; ours; Table 5; 365; text


def test_names_of_runs_differ_by_seed_split_and_any_setting() -> None:
    spec = RunSpec(PAPER, "video")
    others = [
        RunSpec(PAPER, "clip"),
        RunSpec(PAPER.changed({"train": {"seed": 1}}, ""), "video"),
        RunSpec(PAPER.changed({"train": {"lr": 1e-4}}, ""), "video"),
        RunSpec(PAPER.changed({"model": "videomae"}, ""), "video"),
    ]
    assert len({spec.name, *(other.name for other in others)}) == 5
    assert spec.name.startswith("cityguessr-scenes-tla-clip-video-seed0-") and "-seed1-" in others[1].name
    assert spec.name == RunSpec(RunConfig.of(PAPER.to_dict(), ""), "video").name
    odd = RunSpec(PAPER.changed({"text": {"encoder": "../../etc/x y"}}, ""), "v")
    assert odd.folder(Path("runs")).parent == Path("runs") and " " not in odd.name


def test_published_weights_are_each_models_own_and_none_where_the_preset_starts_from_random() -> None:
    mae = find_table("2").find(("mae-first",))[0]
    entry = find_model("mae").full_size["network"]
    assert settings_of(mae, PAPER, 0).network.weights == entry["weights"] != PAPER.network.weights
    assert settings_of(mae, preset("tiny"), 0).network.weights == "random"
    off = PAPER.changed({"network": {"weights": "random"}}, "--set")
    assert settings_of(mae, off, 0).network.weights == "random"


def test_what_a_row_is_about_wins_over_set_and_is_told() -> None:
    given = {"data": {"frames": 4, "stored_frames": 4}, "train": {"lr": 0.5}}
    base = preset("tiny").changed(given, "--set")
    mae, ours = find_table("2").find(("mae-first",))[0], find_table("5").find(("ours",))[0]
    config = settings_of(mae, base, 3)
    assert (config.data.frames, config.data.stored_frames, config.train.lr, config.train.seed) == (1, 4, 0.5, 3)
    assert overruled(mae, base, given) == (("data.frames=4", 1),)
    assert overruled(ours, base, given) == ()


def test_rows_and_tables_that_are_none() -> None:
    with pytest.raises(InputError, match="no table '7'") as found:
        find_table("7")
    assert "s3" in found.value.hint
    with pytest.raises(InputError, match="table 2 has no row 'mae'"):
        TABLES["2"].find(("mae",))


def test_from_missing_to_scored(scored: tuple[RunSpec, Path, Path]) -> None:
    spec, _, runs = scored
    assert state(spec, runs) == "scored" and state(RunSpec(_small(seed=1), "v"), runs) == "missing"
    run = RunDir.open(spec.folder(runs))
    assert run.config == spec.config and len(Predictions.read(run.predictions_path, run.classes)) == len(CITIES) * 2
    assert json.loads(run.results_path.read_text())["origin"]["part"] == "test"
    rate = measured_clips_per_s(run)
    assert rate is not None and rate > 0


def test_what_is_scored_is_not_touched(again: tuple[RunSpec, Path, Path]) -> None:
    spec, out, runs = again
    before = {p: p.stat().st_mtime_ns for p in runs.rglob("*") if p.is_file()}
    said: list[str] = []
    ensure(spec, out, runs, device="cpu", say=said.append)
    assert {p: p.stat().st_mtime_ns for p in runs.rglob("*") if p.is_file()} == before
    assert not [line for line in said if spec.name in line]


def test_what_is_trained_is_only_scored(again: tuple[RunSpec, Path, Path]) -> None:
    spec, out, runs = again
    run = RunDir.open(spec.folder(runs))
    expected = run.predictions_path.read_bytes()
    run.predictions_path.unlink()
    assert state(spec, runs) == "trained"
    weights = {p: p.stat().st_mtime_ns for p in run.checkpoints.rglob("*")}
    ensure(spec, out, runs, device="cpu")
    assert state(spec, runs) == "scored" and run.predictions_path.read_bytes() == expected
    assert {p: p.stat().st_mtime_ns for p in run.checkpoints.rglob("*")} == weights


def test_predictions_that_are_not_the_tables_do_not_count(again: tuple[RunSpec, Path, Path]) -> None:
    spec, _, runs = again
    run = RunDir.open(spec.folder(runs))
    results = json.loads(run.results_path.read_text())
    for name, value in (("part", "train"), ("weights", "last")):
        run.results_path.write_text(json.dumps({**results, "origin": {**results["origin"], name: value}}))
        assert state(spec, runs) == "trained", name
    run.results_path.write_text(json.dumps(results))
    assert state(spec, runs) == "scored"
    newest = max(run.checkpoints.glob("*/about.json"))
    os.utime(newest, ns=(2**62, 2**62))  # trained on since
    assert state(spec, runs) == "trained"
    run.results_path.write_text("{")
    with pytest.raises(InputError, match=r"results.json is damaged"):
        os.utime(newest, ns=(0, 0))
        state(spec, runs)


def test_a_run_that_was_stopped_goes_on(again: tuple[RunSpec, Path, Path], scored: tuple[RunSpec, Path, Path]) -> None:
    """Of three epochs the first ends with a signal: the next call trains two, and the result is as of one go."""
    _, out, runs = again
    spec = RunSpec(_small(epochs=3), "v")

    class Stop:
        def said(self, message: str) -> None: ...
        def begun(self, name: str, step: int, n_steps: int, n_epochs: int) -> None: ...
        def stepped(self, step: int, losses: Any, clips_per_s: float, memory_bytes: int) -> None: ...
        def ended(self) -> None: ...
        def scored(self, epoch: int, part: str, top1: Any) -> None:
            if epoch == 1:
                os.kill(os.getpid(), 2)

    with pytest.raises(KeyboardInterrupt):
        ensure(spec, out, runs, device="cpu", listener=Stop())
    assert state(spec, runs) == "started"
    stopped = ensure(spec, out, runs, device="cpu")
    assert state(spec, runs) == "scored"
    whole = ensure(spec, out, runs / "other", device="cpu")
    assert stopped.predictions_path.read_bytes() == whole.predictions_path.read_bytes()


def test_other_data_and_another_split_are_refused(again: tuple[RunSpec, Path, Path], tmp_path: Path) -> None:
    spec, out, runs = again
    parts = Source(out, "v").part_of
    turned = {clip: {"train": "test", "test": "train"}[part] for clip, part in parts.items()}
    write_split(out, "v", turned)
    with pytest.raises(InputError, match="was made with another split v than"):
        ensure(spec, out, runs, device="cpu")
    other = write_small_out(tmp_path / "elsewhere" / "out", scenes=(False,))
    with pytest.raises(InputError, match="was made with other data than") as found:
        ensure(spec, other, runs, device="cpu")
    assert "--runs" in found.value.hint


def test_a_source_says_what_it_lacks(tmp_path: Path) -> None:
    out = write_small_out(tmp_path / "out", scenes=(False,))
    assert "16 scenes" in Source(out, "v").lacks_scenes(16)
    with pytest.raises(InputError, match="has no split video; it has v"):
        Source(out, "video")
    with pytest.raises(InputError, match="is no data set and no pack"):
        Source(tmp_path, "v")
    write_split(out, "folds-fold0", {})
    with pytest.raises(InputError, match="one of folds"):
        Source(out, "folds")
    labelled = write_small_out(tmp_path / "labelled")
    source = Source(labelled, "v")
    assert source.lacks_scenes(16) == "" and source.n_of_part == {"train": 16, "test": 8}
    # labels that only test clips have are none to train on
    write_small_out(tmp_path / "test", scenes=(False,) * 4 + (True,) * 2)
    assert Source(tmp_path / "test", "v").lacks_scenes(16)


def test_what_was_scored_on_other_data_is_scored_again(again: tuple[RunSpec, Path, Path], tmp_path: Path) -> None:
    """`bench evaluate RUN --data OTHER` leaves the other data's figures in the run's folder."""
    spec, out, runs = again
    run = RunDir.open(spec.folder(runs))
    own, results = run.predictions_path.read_bytes(), run.results_path.read_bytes()
    other = write_small_out(tmp_path / "elsewhere" / "out", scenes=(False,))
    scored = score_run(run, data=other, device="cpu")
    scored.predictions.write(run.predictions_path, run.classes)
    run.results_path.write_text(json.dumps(to_json(scored.results, scored.other)))
    assert state(spec, runs) == "trained"
    ensure(spec, out, runs, device="cpu")
    assert json.loads(run.results_path.read_text())["train_priors"] and run.predictions_path.read_bytes() == own
    # killed between the two files: predictions of another part, and results that know nothing of it
    score_run(run, "train", device="cpu").predictions.write(run.predictions_path, run.classes)
    run.results_path.write_bytes(results)
    assert state(spec, runs, Source(out, "v")) == "trained"
    run.predictions_path.write_bytes(b"")
    assert state(spec, runs, Source(out, "v")) == "trained"


def test_a_folder_with_other_settings_than_its_name_is_refused(again: tuple[RunSpec, Path, Path]) -> None:
    spec, _, runs = again
    other = RunSpec(_small(lr=0.5), "v")
    spec.folder(runs).rename(other.folder(runs))
    with pytest.raises(InputError, match="other settings than its name says"):
        state(other, runs)
