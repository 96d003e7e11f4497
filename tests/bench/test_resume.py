"""A run that was stopped ends as one that was not: the same weights to the bit, the same lines, each once.

One real kill here; CGTOOL_KILLS sets how many.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cityguessr_bench import checkpoints
from cityguessr_bench.data import Places
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.train import loop
from cityguessr_bench.train.log import Silent
from cityguessr_bench.train.run import TrainRequest, make_accelerator, train
from cityguessr_data.core.errors import InputError
from tests.support_runs import make_small_pack, small_config, write_split

KILLS = int(os.environ.get("CGTOOL_KILLS", "1"))
ROOT = Path(__file__).resolve().parents[2]
CONFIG = small_config(train={"epochs": 8, "warmup": 0.1, "lr": 1e-3})
"""24 steps, 3 an epoch, watched."""


class Stopper(Silent):
    """Presses Ctrl-C after a step, or while the watched part is scored."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.begun_at: list[int] = []

    def begun(self, name: str, step: int, n_steps: int, n_epochs: int) -> None:
        self.begun_at.append(step)

    def stepped(self, step: int, losses: Mapping[str, float], clips_per_s: float, memory_bytes: int) -> None:
        if step == self.after:
            os.kill(os.getpid(), signal.SIGTERM if step % 2 else signal.SIGINT)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_pack(tmp_path_factory.mktemp("data"), scenes=(True, True, False))


@pytest.fixture(scope="module")
def undisturbed(pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    train(_request(pack, run, resume=False))
    return run


def _request(pack: Path, run: Path, config: RunConfig = CONFIG, resume: bool = True) -> TrainRequest:
    return TrainRequest(pack, run, "v", config, resume=resume, device="cpu")


def _same(run: Path, other: Path, kept: Sequence[str] = ("last", "best")) -> None:
    for which in kept:
        ours, theirs = (checkpoints.weights_of(folder / "checkpoints", which) for folder in (run, other))  # type: ignore[arg-type]
        assert ours.parent.name == theirs.parent.name
        a, b = load_file(ours), load_file(theirs)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    lines = [[json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in (run, other)]
    for found in lines:
        for line in found:
            line.pop("clips_per_s", None)
    assert lines[0] == lines[1]


@pytest.mark.parametrize("after", [1, 3, 4, 11])
def test_interrupted_and_taken_up(pack: Path, undisturbed: Path, tmp_path: Path, after: int) -> None:
    """In an epoch, where it goes on to the end of the next step; and at the end of one, where scoring is given up."""
    saved = after if after % 3 == 0 else after + 1
    stopper = Stopper(after)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train(_request(pack, tmp_path / "run", resume=False), stopper)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    (done,) = train(_request(pack, tmp_path / "run"), stopper)
    assert stopper.begun_at == [0, saved] and done.n_steps == 24
    _same(tmp_path / "run", undisturbed)
    (again,) = train(_request(pack, tmp_path / "run"))
    assert again.was_finished and again.best_top1 == done.best_top1


def test_a_checkpoint_within_an_epoch_by_the_clock(
    pack: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0.0)
    descend = loop.Trainer._descend

    def crash(self: loop.Trainer, batch: loop.Batch, whole: Places) -> tuple[list[str], torch.Tensor]:
        if self.progress.step == 8:
            raise RuntimeError("the machine went down")
        return descend(self, batch, whole)

    monkeypatch.setattr(loop.Trainer, "_descend", crash)
    with pytest.raises(RuntimeError, match="went down"):
        train(_request(pack, tmp_path / "run", resume=False))
    newest = checkpoints.last(tmp_path / "run" / "checkpoints")
    assert newest is not None and newest.name == "00000008-0002"
    monkeypatch.setattr(loop.Trainer, "_descend", descend)
    train(_request(pack, tmp_path / "run"))
    _same(tmp_path / "run", undisturbed)


def test_killed_between_two_scorings_of_one_epoch(
    pack: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while an epoch was scored; then killed when it had been, before that was saved."""
    with pytest.raises(KeyboardInterrupt):
        train(_request(pack, tmp_path / "run", resume=False), Stopper(3))

    def die(*_args: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("cityguessr_bench.checkpoints.save", die)
        with pytest.raises(RuntimeError, match="killed"):
            train(_request(pack, tmp_path / "run"))
    assert '"test/city"' in (tmp_path / "run" / "metrics.jsonl").read_text()
    train(_request(pack, tmp_path / "run"))
    _same(tmp_path / "run", undisturbed)


def test_the_loss_scale_is_taken_up(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of fp16, which only a GPU computes in, here around float32: it doubles after every fifth step."""
    scalers: list[torch.amp.GradScaler] = []

    def scaled(*args: Any) -> Any:
        accelerator = make_accelerator(*args)
        scalers.append(torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=5))
        accelerator.scaler = scalers[-1]
        return accelerator

    monkeypatch.setattr("cityguessr_bench.train.run.make_accelerator", scaled)
    with pytest.raises(KeyboardInterrupt):
        train(_request(pack, tmp_path / "run", resume=False), Stopper(7))
    train(_request(pack, tmp_path / "run"))
    ends = [(scaler.get_scale(), scaler.state_dict()["_growth_tracker"]) for scaler in scalers]
    assert ends == [(4.0, 3), (32.0, 4)]  # after 8 steps, and after 24


def test_epochs_that_were_not_saved_are_done_again(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is watched, so short epochs pass without a checkpoint: killed in the second, stopped in the third, killed
    in the fifth."""
    config = CONFIG.changed({"train": {"watch": "none", "report": "last"}}, "test")
    train(_request(pack, tmp_path / "undisturbed", config, resume=False))
    names = [path.name for path in (tmp_path / "undisturbed" / "checkpoints").iterdir()]
    assert names == ["00000024-0008"]
    save, descend, stopper = checkpoints.save, loop.Trainer._descend, Stopper(7)
    saved: list[str] = []
    dies_at = {4, 13}

    def noted(folder: Path, progress: checkpoints.Progress, *more: Any) -> None:
        saved.append(progress.name)
        save(folder, progress, *more)

    def crash(self: loop.Trainer, batch: loop.Batch, whole: Places) -> tuple[list[str], torch.Tensor]:
        if self.progress.step in dies_at:
            dies_at.remove(self.progress.step)
            raise RuntimeError("killed")
        return descend(self, batch, whole)

    monkeypatch.setattr(loop.Trainer, "_descend", crash)
    monkeypatch.setattr("cityguessr_bench.checkpoints.save", noted)
    for error in (RuntimeError, KeyboardInterrupt, RuntimeError):
        with pytest.raises(error):
            train(_request(pack, tmp_path / "run", config), stopper)
    (done,) = train(_request(pack, tmp_path / "run", config), stopper)
    assert stopper.begun_at == [0, 0, 8, 8] and saved == ["00000008-0002", "00000024-0008"]
    assert (done.n_steps, done.n_epochs, done.best_top1) == (24, 8, None)
    _same(tmp_path / "run", tmp_path / "undisturbed", ["last"])


SCRIPT = """
import sys, time
from pathlib import Path
from cityguessr_bench.train import loop, run
from tests.bench.test_resume import CONFIG, _request
loop.CHECKPOINT_EVERY_S = 0.0
descend = loop.Trainer._descend
def slowly(self, batch, whole):
    time.sleep(0.05)
    return descend(self, batch, whole)
loop.Trainer._descend = slowly
print("ready", flush=True)
run.train(_request(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.timeout(1800)
def test_killed_at_any_moment(pack: Path, undisturbed: Path, tmp_path: Path) -> None:
    """kill -9, again and again, in a process of its own that saves after every step; then it is let end."""
    rng = random.Random(0)
    killed_at = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(pack), str(tmp_path / "run")],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        _wait_for_a_checkpoint(tmp_path / "run", process)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.stdout.close()
        killed_at.append(process.wait())
    assert -signal.SIGKILL in killed_at
    (done,) = train(_request(pack, tmp_path / "run"))
    assert done.n_steps == 24
    _same(tmp_path / "run", undisturbed)
    assert not list((tmp_path / "run").rglob("*.partial"))


def _wait_for_a_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    """Until the process has gone on for a step or more."""
    at_start = checkpoints.last(run / "checkpoints")
    while process.poll() is None and checkpoints.last(run / "checkpoints") == at_start:
        time.sleep(0.01)


def test_killed_before_the_first_checkpoint(
    pack: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the writing of config.json, and later at the first checkpoint."""

    def die(*_args: object) -> None:
        raise RuntimeError("killed")

    for place in ("cityguessr_bench.run_dir.write_json", "cityguessr_bench.checkpoints.save"):
        with monkeypatch.context() as patch:
            patch.setattr(place, die)
            with pytest.raises(RuntimeError, match="killed"):
                train(_request(pack, tmp_path / "run"))
    train(_request(pack, tmp_path / "run"))
    _same(tmp_path / "run", undisturbed)


def test_another_run_is_not_gone_on_with(pack: Path, undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not empty") as refused:
        train(_request(pack, undisturbed, resume=False))
    assert "--resume" in refused.value.hint
    other = CONFIG.changed({"train": {"lr": 0.5, "epochs": 9}}, "test")
    with pytest.raises(InputError, match=r"train.epochs=8, not 9; train.lr=0.001, not 0.5"):
        train(_request(pack, undisturbed, other))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").touch()
    with pytest.raises(InputError, match="is no run"):
        train(_request(pack, mine))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        train(_request(pack, tmp_path / "file"))


def test_other_data_or_another_split_is_not_gone_on_with(pack: Path, undisturbed: Path, tmp_path: Path) -> None:
    changed = make_small_pack(tmp_path / "data", scenes=(True,))
    with pytest.raises(InputError, match="was made with other data"):
        train(_request(changed, undisturbed))
    from cityguessr_bench.pack.read import Pack

    ids = Pack.open(pack).clip_ids
    swapped = write_split(tmp_path, "w", {clip: "train" if n % 3 else "test" for n, clip in enumerate(ids)})
    with pytest.raises(InputError, match="was made with another split than w is now"):
        train(TrainRequest(pack, undisturbed, swapped, CONFIG, resume=True, device="cpu"))
