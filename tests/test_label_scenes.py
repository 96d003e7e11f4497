"""`cgtool label-scenes`: labels of a model or of a file in the tables of a data set, its frames only read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cityguessr_data.core.errors import DiskFullError
from cityguessr_data.core.places365 import categories
from cityguessr_data.over_frames.label import label_by_file
from cityguessr_data.run.store import Store
from tests.support_build import SHORT, cgtool, result_of, tree_digest, write_sources
from tests.support_imported import (
    colour_imported,
    frame_rows,
    state_of,
    table,
    true_labels,
    write_colour_model,
    write_rows,
)
from tests.support_inline import cgtool_inline

MIXED = 57
"""A category of several classes."""


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    return colour_imported(tmp_path)


def shares(labels: list[int]) -> list[float]:
    """The soft label by hand: each frame gives equal parts of itself to the classes of its category."""
    soft = np.zeros(16)
    for label in labels:
        classes = categories()[label].classes
        for each in classes:
            soft[each] += 1 / len(classes) / len(labels)
    return soft.tolist()


def check_tables(out: Path, labels: dict[tuple[str, int], int]) -> None:
    """Every frame has its label of `labels` or none; every clip's soft label is that of its frames."""
    assert {(f["clip_id"], f["position"]): f["scene_top1"] for f in table(out, "frames")} == {
        **dict.fromkeys(true_labels()), **labels
    }  # fmt: skip
    for clip in table(out, "clips"):
        mine = [label for (clip_id, _), label in labels.items() if clip_id == clip["clip_id"]]
        if not mine:
            assert clip["scene_soft"] is None and clip["scene_majority"] is None
            continue
        assert clip["scene_soft"] == pytest.approx(shares(mine), abs=1e-6)
        assert clip["scene_majority"] == int(np.argmax(np.round(shares(mine), 9)))


def test_a_model_labels_what_it_is_shown(imported: Path, tmp_path: Path) -> None:
    model, source = write_colour_model(tmp_path), state_of(tmp_path / "src")
    rest = {name: state_of(imported / "parts" / name) for name in ("videos",)}
    done = cgtool("label-scenes", imported, "--scene-model", model)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 labelled" in done.stdout and "4 clips, 18 frames in" in done.stdout
    check_tables(imported, true_labels())
    assert all(0.5 < f["scene_top1_prob"] <= 1 for f in table(imported, "frames"))
    assert all(f["path"].startswith(str(tmp_path / "src")) for f in table(imported, "frames"))
    assert state_of(tmp_path / "src") == source
    assert {name: state_of(imported / "parts" / name) for name in rest} == rest
    assert not list(imported.rglob("*.jpg")), "the frames are unblurred: nothing of them may be under OUT"
    (entry,) = json.loads((imported / "dataset.json").read_text())["scene_labels"]
    assert (entry["by"], entry["model"], sorted(entry["files"])) == (
        "model", "colours.onnx", ["colours.json", "colours.onnx"]
    )  # fmt: skip

    before = state_of(imported)
    done = cgtool("label-scenes", imported, "--scene-model", model, "--json")
    assert (result_of(done)["already_done"], result_of(done)["done"]) == (3, 0)
    assert state_of(imported) == before
    again = cgtool("label-scenes", imported, "--scene-model", model, "--scene-parents", "first", "--json")
    assert result_of(again)["done"] == 3, "other settings, other labels"


def test_a_frame_that_is_gone_leaves_its_video_as_it_was(imported: Path, tmp_path: Path) -> None:
    gone = tmp_path / "src" / "a_2_00008" / "3.jpg"
    gone.unlink()
    done = cgtool_inline("label-scenes", imported, "--scene-model", write_colour_model(tmp_path))
    assert done.returncode == 1
    assert f"a_2: bad-media: {gone} cannot be read" in done.stderr
    check_tables(imported, {key: label for key, label in true_labels().items() if not key[0].startswith("a_2")})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_of_frames(imported: Path, tmp_path: Path, suffix: str) -> None:
    rows = frame_rows(true_labels())
    np.random.default_rng(0).shuffle(rows)  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        row |= {"scene_top1_prob": number / 20, "note": "other, columns"}
    file = write_rows(tmp_path / f"labels{suffix}", rows)
    done = cgtool_inline("label-scenes", imported, "--from", file)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 have the file's labels (frames)" in done.stdout
    check_tables(imported, true_labels())
    probs = {(r["clip_id"], r["position"]): r["scene_top1_prob"] for r in rows}
    for frame in table(imported, "frames"):
        assert frame["scene_top1_prob"] == pytest.approx(probs[frame["clip_id"], frame["position"]])
    (entry,) = json.loads((imported / "dataset.json").read_text())["scene_labels"]
    assert (entry["by"], entry["file"], entry["form"]) == ("file", file.name, "frames")
    before = state_of(imported)
    done = cgtool_inline("label-scenes", imported, "--from", file)
    assert "nothing to do" in done.stdout
    assert state_of(imported) == before


def test_a_file_of_spans(imported: Path, tmp_path: Path) -> None:
    spans = [("a_1", 0, 21, 5), ("a_1", 21, 41, 6), ("a_2", 0, 99, 7), ("a_2", 99, 110, 8), ("a_2", 110, 200, 9)]
    spans += [("b_1", 0, 15, MIXED), ("b_1", 15, 1_000_000, 364), ("elsewhere", 0, 5, 1)]
    rows = [dict(zip(("video_id", "start_frame", "end_frame", "scene"), span, strict=True)) for span in spans]
    done = cgtool_inline(
        "label-scenes", imported, "--from", write_rows(tmp_path / "truth.parquet", rows[::-1]), "--json"
    )
    found = result_of(done)
    assert (found["n_labelled"], found["unknown"], found["form"]) == (4, ["elsewhere"], "spans")
    index = {(f["clip_id"], f["position"]): f["frame_index"] for f in table(imported, "frames")}
    expected = {
        key: next(scene for video, start, end, scene in spans if key[0].startswith(video) and start <= at < end)
        for key, at in index.items()
    }
    assert set(expected.values()) == {5, 6, 7, 8, 9, MIXED, 364}
    check_tables(imported, expected)
    assert {f["scene_top1_prob"] for f in table(imported, "frames")} == {None}


def test_a_file_that_covers_a_part_says_what_it_leaves(imported: Path, tmp_path: Path) -> None:
    labels = {key: 3 for key in true_labels() if key[0] != "b_1_00007" and key != ("a_2_00008", 2)}
    rows = frame_rows(labels) + frame_rows({("a_1_00007", 5): 3, ("a_1_00007", 99): 3, ("ghost_00000", 0): 3})
    rows.append({"clip_id": "a_2_00008", "position": 2, "scene_top1": ""})
    file = write_rows(tmp_path / "part.csv", rows)
    done = cgtool_inline("label-scenes", imported, "--from", file, "--json")
    assert done.returncode == 0, done.stderr
    found = result_of(done)
    assert found["incomplete"] == [{"clip_id": "a_2_00008", "n_lacking": 1, "n_frames": 5}]
    assert (found["unnamed"], found["unknown"], found["n_astray"]) == (["b_1_00007"], ["ghost_00000"], 2)
    assert (found["n_clips"], found["n_labelled"], found["n_without"]) == (4, 2, 2)
    assert "a_2_00008: 1 of 5 frames lack a label" in done.stderr
    whole = {key: label for key, label in labels.items() if key[0] in ("a_1_00007", "a_2_00007")}
    check_tables(imported, whole)

    rest = {key: 4 for key in true_labels() if key not in whole}
    done = cgtool_inline("label-scenes", imported, "--from", write_rows(tmp_path / "rest.csv", frame_rows(rest)))
    assert done.returncode == 0 and "2 clips, left as before" in done.stdout
    check_tables(imported, whole | rest)
    noted = json.loads((imported / "dataset.json").read_text())["scene_labels"]
    assert [entry["file"] for entry in noted] == ["part.csv", "rest.csv"]


def test_options_that_make_no_sense(imported: Path, tmp_path: Path) -> None:
    for words, says in (
        (("--scene-model", "off"), "labels nothing"),
        (("--scene-model", "colour"), "unknown scene model"),
        (("--scene-model", "nowhere.onnx"), "which is not there"),
        (("--from", "x.csv", "--scene-model", "resnet18"), "is about a model"),
        (("--workers", "0"), "cannot work"),
    ):
        done = cgtool_inline("label-scenes", imported, *words)
        assert done.returncode == 2 and says in done.stderr, (words, done.stderr)
    done = cgtool_inline("label-scenes", tmp_path, "--from", "x.csv")
    assert done.returncode == 2 and "is not an output directory" in done.stderr


@pytest.mark.parametrize("broken", ["before", "during"])
def test_a_run_that_ends_between_two_videos_goes_on(
    imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    file = write_rows(tmp_path / "labels.csv", frame_rows(true_labels()))
    committed: list[str] = []
    whole: Callable[..., None] = Store.commit
    put: Callable[..., None] = Store._put_in_place

    def commit(store: Store, video_id: str, staging: Path) -> None:
        if committed and broken == "before":
            raise DiskFullError("no space left")
        committed.append(video_id)
        whole(store, video_id, staging)

    def put_in_place(store: Store, ready: Path) -> None:
        if len(committed) == 2 and broken == "during":
            raise DiskFullError("no space left")
        put(store, ready)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", commit)
        patch.setattr(Store, "_put_in_place", put_in_place)
        stopped = label_by_file(imported, file)
    assert stopped.exit_code == 3
    check_tables(imported, {key: label for key, label in true_labels().items() if key[0].startswith("a_1")})
    result = label_by_file(imported, file)
    assert (result.exit_code, result.n_labelled) == (0, 4)
    assert result.n_units_written == (2 if broken == "before" else 1), "a commit that was begun is finished first"
    check_tables(imported, true_labels())


def test_a_built_data_set_is_labelled_and_its_build_goes_on_as_before(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    shutil.copy(face_film, tmp_path / "one.mp4")
    sources = write_sources(tmp_path / "sources.csv", [{"url": "one.mp4", "city": "Tokyo", "video_id": "one"}])
    out = tmp_path / "out"
    assert cgtool_inline("build-dataset", sources, "--out", out, *SHORT).returncode == 0
    frames, faces = tree_digest(out), table(out, "faces")
    unlabelled = table(out, "frames")
    span = [{"video_id": "one", "start_frame": 0, "end_frame": 30, "scene": 7}]
    span.append({"video_id": "one", "start_frame": 30, "end_frame": 60, "scene": 8})
    done = cgtool_inline("label-scenes", out, "--from", write_rows(tmp_path / "truth.csv", span))
    assert done.returncode == 0, done.stderr
    assert [f["scene_top1"] for f in table(out, "frames")] == [7 if f["frame_index"] < 30 else 8 for f in unlabelled]
    assert tree_digest(out) == frames and table(out, "faces") == faces
    assert "1 done of 1" in cgtool_inline("status", out).stdout
    assert result_of(cgtool_inline("stats", out, "--json"))

    again = cgtool_inline("build-dataset", sources, "--out", out, *SHORT, "--json")
    assert again.returncode == 0, again.stderr
    assert result_of(again)["run"]["already_done"] == 1
    assert [f["scene_top1"] for f in table(out, "frames")] == [7 if f["frame_index"] < 30 else 8 for f in unlabelled]
    assert json.loads((out / "dataset.json").read_text())["scene_labels"][0]["file"] == "truth.csv"


def test_labels_stay_when_frames_are_blurred_and_a_model_then_looks_again(
    imported: Path, tmp_path: Path, detector_weights: Path
) -> None:
    model = write_colour_model(tmp_path)
    assert cgtool_inline("label-scenes", imported, "--scene-model", model).returncode == 0
    done = cgtool_inline("anonymise", imported, "--detector", "mobilenet0.25")
    assert done.returncode == 0, done.stderr
    check_tables(imported, true_labels())
    assert all(f["path"].startswith("clips/") for f in table(imported, "frames"))
    done = cgtool_inline("label-scenes", imported, "--scene-model", model, "--json")
    assert result_of(done)["done"] == 3, "they were made of other pixels"
    check_tables(imported, true_labels())
