"""`cgtool split` as a user runs it: what it prints at 80 columns, its JSON, its one-line errors."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

from tests.support_build import cgtool, result_of
from tests.support_inline import cgtool_inline
from tests.support_splits import Video, parts_of, town, write_set

SET = [video for i in range(12) for video in town(f"City{i:02d}-", [4] * 5, f"channel {i}")]


def test_a_split_is_written_and_told_in_80_columns(tmp_path: Path) -> None:
    out = write_set(tmp_path / "streets", [*SET, *town("Nairobi", [3])])
    done = cgtool("split", out, "--by", "video", env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.stdout
    assert lines[0] == "by-video: 243 clips of 61 source videos in 13 cities, seed 0"
    table = [line.split() for line in lines[2:5]]
    assert table[1] == ["train", "195", "80.2%", "49", "13"] and table[2] == ["test", "48", "19.8%", "12", "12"]
    text = " ".join(done.stdout.split())
    assert "no test Nairobi: it has one source video" in text
    assert "of 48 test clips, none have their source video, 100.0% have their channel, none have the clip next" in text
    assert parts_of(out, "by-video")["Nairobi0_00000"] == "train"
    again = cgtool("split", out, "--by", "video")
    assert again.returncode == 0 and "unchanged" in again.stdout


def test_by_clip_says_how_it_rounds(tmp_path: Path) -> None:
    done = cgtool_inline("split", write_set(tmp_path, SET), "--by", "clip")
    assert done.returncode == 0 and "how the paper rounds is not known" in " ".join(done.stdout.split())


def test_folds_fit_80_columns(tmp_path: Path) -> None:
    out = write_set(tmp_path / "o", [*SET, *town("Nairobi", [3])])
    done = cgtool("split", out, "--by", "channel", "--folds", 3, "--seed", 4, env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80 and "…" not in done.stdout
    assert "same video" in done.stdout and "1 video of unknown channel" in " ".join(done.stdout.split())
    assert {p.name for p in (out / "splits").iterdir()} == {f"by-channel-fold{i}.parquet" for i in range(3)}


def test_json_is_one_object_on_stdout(tmp_path: Path) -> None:
    out = write_set(tmp_path, SET)
    value = result_of(cgtool_inline("split", out, "--by", "video", "--name", "honest", "--val", 0.1, "--json"))
    one = value["splits"][0]
    assert (value["by"], value["test"], value["n_clips"], value["n_sources"]) == ("video", 0.2, 240, 60)
    assert Path(one["path"]).is_file() and (one["name"], one["action"]) == ("honest", "written")
    assert sum(part["n_clips"] for part in one["parts"].values()) == 240 and set(one["parts"]) == {
        "train",
        "val",
        "test",
    }
    assert one["leakage"]["n_same_video"] == 0 and one["leakage"]["n_duplicate"] is None


def test_errors_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    out = write_set(tmp_path, SET)
    assert cgtool_inline("split", out, "--by", "video").returncode == 0
    for args, said in (
        (("--by", "video", "--seed", "1"), "--replace"),
        (("--by", "video", "--test", "1"), "not within (0, 1)"),
        (("--by", "video", "--name", "../x"), "not a plain file name"),
        (("--by", "video", "--folds", "5", "--test", "0.2"), "Leave out --test"),
    ):
        done = cgtool_inline("split", out, *args)
        assert done.returncode == 2 and said in done.stderr and not done.stdout
        assert done.stderr.count("\n") == 1
    as_json = cgtool_inline("split", out, "--by", "video", "--seed", "1", "--json")
    assert as_json.returncode == 2 and json.loads(as_json.stdout)["exit_code"] == 2


def test_names_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    out = write_set(tmp_path, [*SET, Video("x", {"\x1b[31mRed[bold]": 4})])
    done = cgtool_inline("split", out, "--by", "video")
    assert done.returncode == 0 and "Red[bold]" in done.stdout
    assert not [c for c in done.stdout if unicodedata.category(c) == "Cc" and c != "\n"]


def test_it_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from cityguessr_data.splits.make import split;"
        "from cityguessr_data.splits.config import SplitConfig;"
        f"split(Path({str(write_set(tmp_path, SET))!r}), SplitConfig('video'));"
        "print([m for m in ('torch', 'cv2', 'av', 'scipy', 'altair') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
