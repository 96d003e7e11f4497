"""`cgtool export` as a user runs it: 80 columns, one JSON object, errors of one line, the size of shards."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cgtool.export_summary import bytes_of
from cityguessr_data.core.errors import InputError
from tests.support_build import cgtool, result_of
from tests.support_export import apply, decide, mark_gone, reviewed, write_set, write_split


def test_what_it_prints_at_80_columns(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    write_split(out, "mine", {"walk_00000": "train", "walk_00001": "test"})
    mark_gone(out, "walk", "home")
    done = cgtool("export", out, tmp_path / "x", "--to", "webdataset", "--split", "mine", env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    notes = done.stderr.splitlines()
    assert max(len(line) for line in notes if str(tmp_path) not in line) <= 80 < len(" ".join(notes))
    said = " ".join(done.stderr.split())
    assert "note: 2 source videos are gone from their sites (home, walk), and their clips are in this export;" in said
    assert f"`cgtool refresh {out} --remove`" in said and "note: no --contact was given" in said
    assert max(map(len, done.stdout.splitlines())) <= 80 and "…" not in done.stdout
    text = " ".join(done.stdout.split())
    assert "exported small streets 1.2.0: 5 clips, 20 frames, 3 videos of 3 cities" in text
    assert "parts train 1, test 1, unassigned 3" in text
    assert "review finished: 5 of 5 clips" in text
    assert "faces 2 boxes blurred; not blurred, and left out: 1 detection under the threshold" in text
    again = cgtool("export", out, tmp_path / "x", "--to", "webdataset", "--split", "mine")
    assert again.returncode == 0 and "was done already" in again.stdout


def test_what_stays_is_listed(tmp_path: Path) -> None:
    out = write_set(tmp_path / "out")
    decide(out, "walk_00002", "mark", value="title-card")
    apply(out)
    args = ("export", out, tmp_path / "l.csv", "--to", "links", "--without", "title-card", "--allow-unreviewed")
    done = cgtool(*args)
    text = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stderr
    assert "left out 1 clip marked title-card: walk_00002" in text
    assert "left out 1 clip of a local file or of none: home_00000" in text
    assert "review not finished: 1 of 5 clips waits for a person" in text


def test_the_command_that_rebuilds_can_be_copied_from_a_narrow_terminal(tmp_path: Path) -> None:
    """It is a line of its own, however long, and a shell splits it into what the command takes."""
    out = reviewed(tmp_path / "out")
    folder = tmp_path / "streets of my city" / ("long-" * 20)
    folder.mkdir(parents=True)
    for dest, table, options in (
        (folder / "l.csv", folder / "l.csv", folder / "l.toml"),
        (folder / "links", folder / "links" / "links.csv", folder / "links" / "build.toml"),
    ):
        done = cgtool("export", out, dest, "--to", "links", env={"COLUMNS": "80"})
        lines = done.stdout.splitlines()
        (line,) = [line for line in lines if "build-dataset" in line]
        assert shlex.split(line) == ["cgtool", "build-dataset", str(table), "--config", str(options), "--out", "OUT"]
        assert lines.index(line) == len(lines) - 1 and lines[-2].startswith("rebuild") and table.is_file()
        assert options.is_file()


def test_the_command_that_rebuilds_says_where_hosts_are_private(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out", extra={"walk": {"url": "http://127.0.0.1:8000/walk.mp4"}})
    done = cgtool("export", out, tmp_path / "l", "--to", "links")
    assert done.stdout.splitlines()[-1].endswith("--out OUT --allow-private-hosts"), done.stdout


def test_json_is_one_object(tmp_path: Path) -> None:
    out = write_set(tmp_path / "out")
    done = cgtool("export", out, tmp_path / "x", "--to", "croissant", "--allow-unreviewed", "--json")
    value = result_of(done)
    assert (value["clips"], value["frames"], value["format"], value["was_done"]) == (5, 20, "croissant", False)
    assert value["review"]["waiting"] == ["walk_00000"] and not value["review"]["finished"]
    assert "croissant.json" in value["files"] and (tmp_path / "x" / "croissant.json").is_file()
    assert "--contact" in done.stderr and done.stderr.count("note: ") == 1
    assert value["faces"] == {"blurred": 2, "drawn": 0, "taken": 0, "rejected": 0, "under": 1} and value["gone"] == []


def test_errors_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    out = write_set(tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    allowed = ("--allow-unreviewed",)
    for dest, args, said in (
        ("x", ("--to", "webdataset"), "the review is not finished"),
        ("full", ("--to", "webdataset", *allowed), "not empty"),
        ("out/x", ("--to", "links", *allowed), "lie in one another"),
        ("x", ("--to", "webdataset", "--shard-size", "big", *allowed), "no size"),
        ("x", ("--to", "links", "--shard-size", "1GB", *allowed), "no shards"),
        ("x", ("--to", "huggingface", "--split", "by-clip", *allowed), "no split 'by-clip'"),
    ):
        done = cgtool("export", out, tmp_path / dest, *args)
        assert done.returncode == 2 and said in done.stderr and not done.stdout, done.stderr
        assert done.stderr.count("\n") == 1
    as_json = result_of(cgtool("export", out, tmp_path / "x", "--to", "links", "--json"))
    assert as_json["exit_code"] == 2 and "cgtool review" in as_json["hint"]
    assert not (tmp_path / "x").exists()


def test_frames_that_are_gone_are_listed_on_stderr(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    for frame in (out / "clips" / "walk" / "walk_00001").iterdir():
        frame.unlink()
    done = cgtool("export", out, tmp_path / "x", "--to", "webdataset")
    assert done.returncode == 2 and not (tmp_path / "x").exists()
    names = [f"clips/walk/walk_00001/{n:03d}.jpg" for n in (1, 2, 3, 4)]
    *listed, last = done.stderr.splitlines()
    assert [line.split(":")[0] for line in listed] == [f"  {name}" for name in names]
    assert last.startswith(f"error: 4 frames of {out} cannot be exported. Put them back")
    as_json = cgtool("export", out, tmp_path / "x", "--to", "webdataset", "--json")
    for text in (result_of(as_json)["error"], as_json.stderr):
        assert [text.count(name) for name in names] == [1, 1, 1, 0] and "and 1 more" in text


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("500MB", 500_000_000), ("2 GB", 2_000_000_000), ("1.5g", 1_500_000_000), ("7000000", 7_000_000), ("3kb", 3_000)],
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert bytes_of(text) == n_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1 2MB", "1e9", "5PB", "٥MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError):
        bytes_of(text)
