"""`cgtool bench speed train` as a user has it: lines for a person, an object for a machine, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from cgtool.commands import bench_speed
from tests.support_bench import Done
from tests.support_runs import make_small_pack, small_assignments

QUICK = ("--seconds", "0.1", "--warm-up", "1", "--device", "cpu")


@pytest.fixture
def speed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command in this process, 80 columns wide; whatever it looks for on the hub is not there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command("train")(bench_speed.train)

    def run(*args: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(["train", *map(str, args)])
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_pack(tmp_path_factory.mktemp("data"))


def test_a_person_reads_lines_of_80_columns(speed: Any, pack: Path) -> None:
    done = speed(pack, *small_assignments(), *QUICK, "--plain", "--workers", 1)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    text = " ".join(done.out.split())
    assert "cityguessr, 4 frames of 16 px, batch 7, fp32, on cpu" in text
    for words in (
        "clips/s (",
        "of the peak",
        "2048 x 2048 matrices, measured in this run",
        "forward and backward by arithmetic",
        "of the time for data",
        "of this process, at most",
        "an estimate by arithmetic on these rates: 10 epochs of 54,614 clips",
        "as the released code does it",
        "medians of 5 rounds in turns",
    ):
        assert words in text, words
    assert "warming up: 1 step of 7 clips" in done.err and "measuring for 0.1 s" in done.err


def test_a_machine_reads_one_object(speed: Any, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(path for path in pack.parent.rglob("*"))
    done = speed(pack, *small_assignments(train={"precision": "bf16"}), *QUICK, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["device"], told["plain"], told["workers"]) == ("cpu", None, 0)
    assert told["config"]["train"]["precision"] == told["peak"]["kind"] == "bf16" and not told["peak"]["stated"]
    assert told["flop_per_s"] == pytest.approx(told["clips_per_s"] * told["flop_per_clip"]["arithmetic"])
    assert told["share_of_peak"] == pytest.approx(told["flop_per_s"] / told["peak"]["flop_per_s"])
    assert told["clips"] / told["wall_s"] == pytest.approx(told["clips_per_s"])
    assert told["estimate"]["training_s"] == pytest.approx(546_140 / told["clips_per_s"])
    assert 0 < told["waiting_share"] < 1 and told["peak_memory_bytes"] > 0 and told["scoring"]["clips"] > 0
    assert sorted(path for path in pack.parent.rglob("*")) == before and list(tmp_path.iterdir()) == []


def test_a_large_network_of_the_hub_needs_no_weights(speed: Any, pack: Path) -> None:
    """Random ones are as quick: nothing is looked for, and the text encoder is not either."""
    settings = small_assignments(network={"weights": "MCG-NJU/videomae-small-finetuned-kinetics", "tla": True})
    done = speed(pack, *settings, "--set", "text.encoder=some/encoder", *QUICK)
    assert done.code == 0 and "weights are random" in done.out


def test_what_cannot_be_is_one_line(speed: Any, pack: Path, tmp_path: Path) -> None:
    for words, told in (
        ((tmp_path / "none", "--preset", "tiny"), "there is no folder"),
        ((pack, "--preset", "tiny"), "data.stored_frames=4, and the run wants 32"),
        ((pack, "--preset", "big"), "there is no preset 'big'"),
        ((pack, "--model", "prototypes", "--preset", "tiny"), "wants features"),
        ((pack, *small_assignments(), "--device", "tpu"), "there is no device 'tpu'"),
        ((pack, *small_assignments(train={"precision": "fp16"}), "--device", "cpu"), "fp16 needs a GPU"),
        (("--model", "frozen", "--preset", "tiny", "--plain"), "Leave --plain out"),
    ):
        done = speed(*words)
        assert (done.code, done.out) == (2, "") and done.err.startswith("error: ") and told in done.err, done.err
        assert done.err.count("\n") == 1


def test_help_says_what_is_measured(speed: Any) -> None:
    done = speed("--help")
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 80
    assert "how much of what the device can do" in " ".join(done.out.split())
