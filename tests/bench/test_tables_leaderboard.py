"""Boards: published results stand only beside the published split, and copies of a run are no further seed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.results import Origin
from cityguessr_bench.results_json import to_json
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.tables import published
from cityguessr_bench.tables.leaderboard import board_json, board_sheets, make_boards
from cityguessr_data.core.errors import InputError
from tests.support_predictions import random_classes, random_predictions
from tests.support_runs import small_config

CLASSES = random_classes()


def _run(folder: Path, *, seed: int = 0, split: str = "video", part: str = "test", skill: float = 1.0) -> RunDir:
    """A scored run without a network: the board asks for its files alone."""
    config = small_config(train={"seed": seed})
    widths = config.model_config(CLASSES.sizes, 8, scenes=False)
    record = {"data": {"name": "world", "fingerprint": "f"}, "split": {"name": split, "digest": split}}
    run = RunDir.create(folder, config, widths, CLASSES, record)
    found = random_predictions(CLASSES, 60, skill=skill)
    found.write(run.predictions_path, CLASSES)
    run.results_path.write_text(json.dumps(to_json(evaluate(found, CLASSES, Origin("r", part=part)))))
    return run


def test_seeds_are_one_entry_and_a_copy_is_no_seed(tmp_path: Path) -> None:
    first = _run(tmp_path / "a", seed=0, skill=0.0)
    _run(tmp_path / "b" / "deep", seed=1, skill=4.0)
    shutil.copytree(first.folder, tmp_path / "copy")
    board = make_boards(tmp_path)[0]
    assert len(board.entries) == 1 and len(board.entries[0].runs) == 2
    city = board.entries[0].scores["city"]
    assert city.value == pytest.approx(sum(city.by_seed) / 2) and city.spread is not None and city.spread > 0.1


def test_parts_and_splits_are_boards_of_their_own(tmp_path: Path) -> None:
    _run(tmp_path / "a")
    _run(tmp_path / "b", part="val")
    _run(tmp_path / "c", split="clip")
    found = [(board.split, board.part) for board in make_boards(tmp_path)]
    assert found == [("clip", "test"), ("video", "test"), ("video", "val")]


def test_published_results_stand_only_beside_their_own_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(tmp_path / "a", split="published")
    board = make_boards(tmp_path)[0]
    assert board.later == () and "not shown beside other clips" in " ".join(board_sheets([board])[0].notes)
    # as if the published part were of 60 clips and these classes
    monkeypatch.setattr(published, "N_TEST", 60)
    monkeypatch.setattr(published, "N_CLASSES", CLASSES.sizes)
    board = make_boards(tmp_path)[0]
    sheet = board_sheets([board])[0]
    assert len(board.later) == 21 and len(sheet.rows) == 1 + 6
    geogat = next(row for row in sheet.rows if row[0].startswith("GeoGAT"))
    assert geogat[-4:] == ("84.5", "84.9", "86.8", "92.2")
    per_frame = next(row for row in sheet.rows if "per-frame" in row[0])
    assert per_frame[-4:] == ("94.9", "–", "–", "–")
    _run(tmp_path / "a2", split="published", part="val")
    assert [one.later == () for one in make_boards(tmp_path)] == [False, True]


def test_damaged_results_are_named(tmp_path: Path) -> None:
    run = _run(tmp_path / "a")
    run.results_path.write_text("[]")
    with pytest.raises(InputError, match=r"results\.json is damaged"):
        make_boards(tmp_path)


def test_figures_that_are_too_high_are_said_so(tmp_path: Path) -> None:
    """Weights chosen on the very part, streets seen in training, and a control."""
    run = _run(tmp_path / "a")
    assert make_boards(tmp_path)[0].warnings == ()
    results = json.loads(run.results_path.read_text())
    results["origin"] |= {"weights": "best", "watched": "test"}
    results["notes"].append("50.0% of the evaluated clips are of a source video that train has clips of, so ...")
    run.results_path.write_text(json.dumps(results))
    board = make_boards(tmp_path)[0]
    said = " ".join(board_sheets([board])[0].notes)
    assert "chosen by their city top-1 on these very clips" in said and "50.0% of the evaluated clips" in said
    assert board_json([board])["boards"][0]["warnings"] == list(board.warnings)
    results["origin"]["watched"] = "val"
    run.results_path.write_text(json.dumps(results))
    assert not any("chosen" in one for one in make_boards(tmp_path)[0].warnings)
