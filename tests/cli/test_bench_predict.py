"""`cgtool bench predict`: 80 columns, other encodings, JSON, exit codes, one-line errors.

Once as a user runs it, in a process of its own; else in this one, which has imported torch already.
"""

from __future__ import annotations

import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from cgtool.commands.bench_predict import predict
from tests.support_build import cgtool
from tests.support_predict import CITIES, DATA, random_run
from tests.support_server import Server
from tests.support_video import numbered_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and two videos of another length."""
    made = tmp_path_factory.mktemp("predict")
    random_run(made / "run")
    numbered_video(made / "walk.mp4", 60)
    numbered_video(made / "tiny.mp4", DATA.stored_frames - 1)
    return made


def ask(*words: object, charset: str = "utf-8", **env: str) -> Result:
    """The command in this process."""
    app = typer.Typer()
    app.command()(predict)
    return CliRunner(charset=charset).invoke(app, [str(word) for word in words], env={"COLUMNS": "80", **env})


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


def test_one_video_at_80_columns(folder: Path) -> None:
    done = cgtool("bench", "predict", folder / "walk.mp4", "--run", folder / "run", env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(columns, lines)) <= 80 and all(line == line.rstrip() for line in lines)
    assert lines[0] == "walk: 1 clip of 60 frames; 60 in all, 2.0 s"
    assert lines[1] == "note  its 60 frames are fewer than a clip's 800: taken whole"
    assert "city" in lines[2] and "state" in lines[2] and "country" in lines[9] and "continent" in lines[9]
    best = [line.split()[1] for line in lines[3:8]]
    assert set(best) <= set(CITIES) and len(set(best)) == 5
    shares = [float(line.split("%")[0].split()[-1].replace("<0.1", "0.05")) for line in lines[3:8]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.3
    world = [line for line in lines if any(0x2800 < ord(letter) < 0x2900 for letter in line)]
    assert len(world) == 14 and any("1" in line for line in world)
    assert "mode       codependent" in lines


def test_a_terminal_that_knows_ascii_alone_and_a_narrow_one(folder: Path) -> None:
    narrow = ask(folder / "walk.mp4", "--run", folder / "run", "--mode", "none", charset="ascii", COLUMNS="44")
    assert narrow.exit_code == 0, narrow.stderr
    assert narrow.stdout.isascii() and max(map(len, narrow.stdout.splitlines())) <= 44
    assert "#" in narrow.stdout and "...." in narrow.stdout and "?" not in narrow.stdout
    assert "the continent head" in narrow.stdout


def test_one_of_three_fails(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "corrupt.mp4").write_bytes(b"no video")
    sources = (tmp_path / "corrupt.mp4", folder / "walk.mp4", folder / "tiny.mp4")
    page = tmp_path / "page.html"
    done = ask(*sources, "--run", folder / "run", "--json", "--html", page)
    assert done.exit_code == 1
    value = json.loads(done.stdout)
    assert [v["source"] for v in value["videos"]] == [str(folder / "walk.mp4")]
    assert [Path(f["source"]).name for f in value["failures"]] == ["corrupt.mp4", "tiny.mp4"]
    assert value["exit_code"] == 1 and value["mode"] == "codependent" and value["weights"] == "last"
    levels = value["videos"][0]["levels"]
    assert list(levels) == ["city", "state", "country", "continent"]
    assert levels["city"][0]["within"] == [levels[level][0]["name"] for level in ("state", "country", "continent")]
    said = done.stderr.splitlines()
    assert said[0] == f"page: {page}" and said[1] == "2 videos could not be looked at:"
    assert len(said) == 4 and "corrupt.mp4" in said[2] and "tiny.mp4 has clips of 7 frames" in said[3]
    assert page.read_text().startswith("<!doctype html>") and "Not looked at" in page.read_text()


def test_when_all_fail_nothing_is_shown(folder: Path, tmp_path: Path) -> None:
    done = ask(tmp_path / "gone.mp4", "--run", folder / "run", "--html", tmp_path / "p.html")
    assert (done.exit_code, done.stdout) == (2, "") and not (tmp_path / "p.html").exists()
    assert done.stderr.splitlines() == [
        f"error: {tmp_path}/gone.mp4 does not exist. Name a video file, or a link with https://"
    ]
    as_json = ask(tmp_path / "gone.mp4", "--run", folder / "run", "--json")
    assert as_json.exit_code == 2 and json.loads(as_json.stdout)["videos"] == []


def test_links_need_leave_for_private_hosts_and_downloads_stay_only_where_asked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with Server(folder) as server:
        call = (server.url("/walk.mp4"), "--run", folder / "run", "--json")
        refused = ask(*call)
        assert refused.exit_code == 2 and server.count() == 0 and "--allow-private-hosts" in refused.stderr
        taken = ask(*call, "--allow-private-hosts")
        assert taken.exit_code == 0, taken.stderr
        assert list(temporary.iterdir()) == []
        kept = ask(*call, "--allow-private-hosts", "--cache", cache)
        assert kept.exit_code == 0 and [p.name for p in cache.rglob("*.mp4")] == ["generic_walk.mp4"]
    assert json.loads(taken.stdout)["videos"][0]["levels"] == json.loads(kept.stdout)["videos"][0]["levels"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--run", "nowhere"), "nowhere is no run"),
        (("--run", "{run}", "--weights", "best"), "no best checkpoint"),
        (("--run", "{run}", "--clip-frames", "9-3"), "clips of 9-3 frames cannot be"),
        (("--run", "{run}", "--device", "abacus"), "there is no device 'abacus'"),
        (("--run", "{run}", "--html", "{video}"), "which is to be read"),
        (("--run", "{run}", "--html", "{run}/report.html"), "the run's report"),
        (("--run", "{run}", "--cookies", "none.txt"), "cookie file none.txt does not exist"),
    ],
)
def test_one_line_that_says_what_to_do(folder: Path, options: tuple[str, ...], said: str) -> None:
    words = [word.format(run=folder / "run", video=folder / "walk.mp4") for word in options]
    done = ask(folder / "walk.mp4", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
