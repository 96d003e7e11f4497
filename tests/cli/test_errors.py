"""How the command line fails: one JSON object where JSON was asked for, a dry run that refuses what the build would,
no traceback on Ctrl-C, nothing cut off at 80 columns."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support_build import CGTOOL, SHORT, cgtool, hear_ctrl_c, result_of, write_sources
from tests.support_video import numbered_video

TOKYO = {"city": "Tokyo"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def one_video(tmp_path: Path) -> Path:
    """A table with one local video of 50 frames: two clips at SHORT's settings."""
    numbered_video(tmp_path / "a.mp4", 50)
    return write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])


def test_json_of_an_error_is_one_object_with_its_faults(tmp_path: Path) -> None:
    done = cgtool("build-dataset", tmp_path / "none.csv", "--out", tmp_path / "out", *SHORT, "--json")
    assert done.returncode == result_of(done)["exit_code"] == 2
    assert "none.csv" in result_of(done)["error"]
    assert done.stderr == f"error: {result_of(done)['error']}. {result_of(done)['hint']}\n"
    table = tmp_path / "bad.csv"
    table.write_text("url,city\nnowhere.mp4,Tokyo\nnowhere.mp4,Tokio\n")
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT, "--json")
    assert [line for line, _ in result_of(done)["faults"]] == [2, 3, 3]
    assert "Tokio" in json.dumps(result_of(done)["faults"])
    done = cgtool("status", tmp_path / "nothing", "--json")
    assert done.returncode == result_of(done)["exit_code"] == 2


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_missing_weights_are_told_in_json_by_the_dry_run_too(
    tmp_path: Path, one_video: Path, dry: tuple[str, ...]
) -> None:
    nowhere = {"CGTOOL_WEIGHTS": str(tmp_path), "CGTOOL_CACHE": str(tmp_path)}
    done = cgtool("build-dataset", one_video, "--out", tmp_path / "out", *SHORT, *dry, "--json", env=nowhere)
    assert done.returncode == result_of(done)["exit_code"] == 2
    assert "cgtool weights pull retinaface-mobilenet0.25" in result_of(done)["hint"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["min-duration", "max-duration", "rate", "conf", "nms", "blur-sigma"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_are_finite(tmp_path: Path, option: str, value: str) -> None:
    from cgtool.options import TYPES, build_config
    from cityguessr_data.core.errors import InputError

    name = option.replace("-", "_")
    assert TYPES[name] is float
    with pytest.raises(InputError, match=f"--{option} is {value}"):
        build_config(tmp_path / "sources.csv", tmp_path / "out", {name: float(value)}, None)


def test_a_number_that_is_none_is_no_fault_of_cgtool(tmp_path: Path, one_video: Path) -> None:
    done = cgtool("build-dataset", one_video, "--out", tmp_path / "out", *SHORT, "--min-duration", "nan")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --min-duration is nan. Give a finite number\n"


def test_the_default_cache_lies_beside_out_however_out_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cgtool.options import build_config

    inner = tmp_path / "streets" / "inner"
    inner.mkdir(parents=True)
    for folder, out in ((inner.parent, "."), (inner, ".."), (tmp_path, "streets"), (tmp_path, "inner/../streets")):
        monkeypatch.chdir(folder)
        config = build_config(tmp_path / "sources.csv", Path(out), {}, None)
        assert config.download.cache.resolve() == tmp_path / "streets.cache"


def test_a_dry_run_refuses_what_the_build_refuses_and_writes_nothing(
    tmp_path: Path, one_video: Path, detector_weights: Path
) -> None:
    out = tmp_path / "out"
    args = ("build-dataset", one_video, "--out", out, *SHORT, "--json")
    dry = result_of(cgtool(*args, "--dry-run", "--min-height", 1080))
    assert (dry["committed"], dry["clips"]) == (0, 2)
    assert not out.exists()
    assert not (tmp_path / "out.cache").exists()
    assert cgtool(*args).returncode == 0
    before = {p: p.stat().st_mtime_ns for p in (out, *out.rglob("*"))}
    assert result_of(cgtool(*args, "--dry-run"))["committed"] == 1

    write_sources(one_video, [{"url": "a.mp4", **TOKYO, "end_s": 1}])  # 30 frames: one clip
    dry = result_of(cgtool(*args, "--dry-run"))
    assert (dry["committed"], dry["clips"]) == (0, 1)

    (tmp_path / "more").mkdir()
    shutil.copy(tmp_path / "a.mp4", tmp_path / "more" / "a.mp4")
    write_sources(one_video, [{"url": "a.mp4", **TOKYO}, {"url": "more/a.mp4", **TOKYO}])
    same_id = cgtool(*args, "--dry-run")
    assert same_id.returncode == 2
    assert "lines 2 and 3 name two files" in result_of(same_id)["error"]
    assert {p: p.stat().st_mtime_ns for p in (out, *out.rglob("*"))} == before
    assert not (tmp_path / "out.cache").exists()

    other = [cgtool(*args, "--conf", 0.4, *dry) for dry in (["--dry-run"], [])]
    assert [done.returncode for done in other] == [2, 2]
    assert "conf was 0.5, now 0.4" in result_of(other[0])["error"]
    assert result_of(other[0]) == result_of(other[1])


def test_min_height_above_the_height_downloaded_drops_local_files(
    tmp_path: Path, one_video: Path, detector_weights: Path
) -> None:
    done = cgtool("build-dataset", one_video, "--out", tmp_path / "out", *SHORT, "--min-height", 1080, "--json")
    assert done.returncode == 0, done.stderr
    assert sum(result_of(done)["run"]["dropped"].values()) == 1


def running_in_group(group: int) -> list[int]:
    """Processes of the group that run, ended ones that nobody has waited for left out; none without /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(os.name != "posix", reason="sends signals to a process group")
@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_ctrl_c_twice_in_the_first_seconds_prints_no_traceback(
    tmp_path: Path, one_video: Path, detector_weights: Path, delay_s: float
) -> None:
    """As a terminal does it: every process of the group gets the signal, a worker in the middle of its imports too."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*CGTOOL, "build-dataset", str(one_video), "--out", str(out), *SHORT, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (out / ".cgtool" / "plan.json").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "interrupted" in stderr
    assert json.loads(stdout)["exit_code"] == 130
    deadline = time.monotonic() + 10
    while running_in_group(process.pid):
        assert time.monotonic() < deadline, "a process is left behind"
        time.sleep(0.05)


INTERRUPTED = """
import sys
from cgtool import app
def a_command():
    {}
app.app = a_command
app.main()
"""
WHILE_A_DATACLASS_IS_MADE = """
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(
    "body", [WHILE_A_DATACLASS_IS_MADE, "raise KeyboardInterrupt"], ids=["import", "no command yet"]
)
def test_ctrl_c_at_an_odd_moment_ends_with_130_and_no_traceback(tmp_path: Path, body: str) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(body.strip()))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the worker in /proc")
def test_a_worker_is_deaf_to_ctrl_c_from_its_first_moment(
    tmp_path: Path, one_video: Path, detector_weights: Path
) -> None:
    process = subprocess.Popen(
        [*CGTOOL, "build-dataset", str(one_video), "--out", str(tmp_path / "out"), *SHORT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    hit = 0
    deadline = time.monotonic() + 60
    while hit < 3 and process.poll() is None and time.monotonic() < deadline:
        for pid in running_in_group(process.pid):
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGINT)
                    hit += 1
        time.sleep(0.02)
    _, stderr = process.communicate(timeout=60)
    assert hit == 3
    assert process.returncode == 0, stderr


def test_nothing_is_cut_off_at_80_columns(detector_weights: Path) -> None:
    env = {"COLUMNS": "80", "CGTOOL_WEIGHTS": str(detector_weights.parent)}
    doctor, listed = cgtool("doctor", env=env).stdout, cgtool("weights", "list", env=env).stdout
    for text in (doctor, listed):
        assert "…" not in text
        assert "retinaface-mobilenet0.25" in text
    assert f"  {detector_weights}\n" in listed
    ffmpeg = next(line for line in doctor.splitlines() if line.split()[1] == "ffmpeg")
    assert len(ffmpeg) < 80
    assert ffmpeg.split()[2][0].isdigit()


def test_the_hint_of_a_fault_says_how_to_type_debug(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    from cgtool.console import command

    @command
    def stats(json_: bool) -> int:
        raise ValueError("a\x1b[31mb")

    with pytest.raises(typer.Exit):
        stats(True)
    said = capsys.readouterr()
    assert "run `cgtool --debug stats ...` and report it" in json.loads(said.out)["hint"]
    assert said.err.count("\n") == 1 and "\x1b" not in said.err and "`cgtool --debug stats ...`" in said.err


def test_the_hint_names_a_command_that_is_there() -> None:
    import importlib
    import pkgutil

    import typer

    import cgtool.commands
    from cgtool.app import app
    from cgtool.console import _debug_line

    def names(group: Any, words: str = "") -> set[str]:
        inner = getattr(group, "commands", {})
        return {f"{words}{name}" for name in inner}.union(*(names(one, f"{words}{n} ") for n, one in inner.items()))

    there = names(typer.main.get_command(app))
    told = set()
    for module in pkgutil.iter_modules(cgtool.commands.__path__):
        loaded = importlib.import_module(f"cgtool.commands.{module.name}")
        made = [f for f in vars(loaded).values() if getattr(getattr(f, "__code__", None), "co_name", "") == "run"]
        told |= {_debug_line(f).removeprefix("cgtool --debug ").removesuffix(" ...") for f in made}
    assert told and told <= there
