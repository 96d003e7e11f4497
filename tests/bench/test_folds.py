"""Runs of folds: every clip once, the spread against NumPy, and folders that are no whole set of folds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cityguessr_bench.classes import Classes
from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.folds import open_folds, pooled, spreads
from cityguessr_bench.hierarchy import MODES
from cityguessr_bench.results import FoldResults
from cityguessr_bench.results_json import to_json
from cityguessr_bench.run_config import NetworkConfig, RunConfig, TrainConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_predictions import random_classes, random_predictions, rows_of

CLASSES = random_classes()
WHOLE = random_predictions(CLASSES, 60)
ROWS = ([*range(30)], [*range(30, 45)], [*range(45, 60)])
FOLDS = [(f"fold{i}", rows_of(WHOLE, rows)) for i, rows in enumerate(ROWS)]


def test_pooled_predictions_are_those_of_all_folds() -> None:
    every = pooled(FOLDS)
    assert (every.clip_ids, every.video_ids, every.channels) == (WHOLE.clip_ids, WHOLE.video_ids, WHOLE.channels)
    for level in LEVELS:
        assert (every.truth[level] == WHOLE.truth[level]).all()
        assert (every.log_probs[level] == WHOLE.log_probs[level]).all()


def test_a_clip_tested_twice_stops() -> None:
    twice = ("fold3", rows_of(WHOLE, [7]))
    with pytest.raises(InputError, match=r"clip clip 7 was tested in fold0 and in fold3.*cgtool split --folds"):
        pooled([*FOLDS, twice])


def test_the_spread_is_that_of_numpy() -> None:
    results = tuple(evaluate(predictions, CLASSES) for _, predictions in FOLDS)
    found = spreads(results)
    for mode in MODES:
        for level in LEVELS:
            values = [one.modes[mode].levels[level].top1.value for one in results]
            assert found[mode][level].top1.values == tuple(values)
            assert found[mode][level].top1.mean == pytest.approx(np.mean(values))
            assert found[mode][level].top1.sd == pytest.approx(np.std(values, ddof=1))
            macro = [one.modes[mode].levels[level].macro for one in results]
            assert found[mode][level].macro.sd == pytest.approx(np.std(macro, ddof=1))
    folds = FoldResults(evaluate(WHOLE, CLASSES), ("fold0", "fold1", "fold2"), results, found)
    value = json.loads(json.dumps(to_json(folds.pooled, folds=folds)))["folds"]
    assert (value["n"], value["names"][2], value["n_clips"]) == (3, "fold2", [30, 15, 15])
    assert value["modes"]["none"]["city"]["top5"]["sd"] == found["none"]["city"].top5.sd


def make_run(folder: Path, classes: Classes = CLASSES, seed: int = 0) -> None:
    """A run without weights."""
    config = RunConfig(network=NetworkConfig(weights="random", tla=False), train=TrainConfig(seed=seed))
    RunDir.create(folder, config, config.model_config(classes.sizes, 1, scenes=False), classes, {})


def test_folds_are_opened_in_their_order(tmp_path: Path) -> None:
    for number in range(11):
        make_run(tmp_path / f"fold{number}")
    assert [run.folder.name for run in open_folds(tmp_path)] == [f"fold{number}" for number in range(11)]


def test_what_is_no_whole_set_of_folds_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no folds"):
        open_folds(tmp_path)
    make_run(tmp_path / "fold0")
    with pytest.raises(InputError, match="one fold alone"):
        open_folds(tmp_path)
    make_run(tmp_path / "fold2")
    with pytest.raises(InputError, match="has a run fold2, but no run fold1"):
        open_folds(tmp_path)
    make_run(tmp_path / "fold1", random_classes(sizes={"city": 13, "state": 12, "country": 9, "continent": 6}))
    with pytest.raises(InputError, match="fold1 has other classes than"):
        open_folds(tmp_path)
    make_run(tmp_path / "fold1", seed=1)
    with pytest.raises(InputError, match="fold1 has other settings than"):
        open_folds(tmp_path)
