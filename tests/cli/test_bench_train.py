"""`cgtool bench pack` and `cgtool bench train` as a user has them: what they say, and what they end with."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from cityguessr_bench.models.cityguessr import CityGuessr
from cityguessr_bench.presets import preset
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_data.core.errors import DiskFullError
from tests.support_bench import Done
from tests.support_build import CGTOOL, hear_ctrl_c
from tests.support_models import hub_state, write_hub_folder
from tests.support_models import small_config as small_model
from tests.support_runs import make_small_pack, small_assignments, small_config, write_small_out, write_split


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_pack(tmp_path_factory.mktemp("data"))


def _train(pack: Path, run: Path, *more: object, **sections: dict[str, Any]) -> list[object]:
    words = ["train", pack, "--run", run, "--device", "cpu", *small_assignments(**sections)]
    return [*words, *([] if "--split" in more else ["--split", "v"]), *more]


def _refused(done: Done, *words: str) -> None:
    """Ended with 2, one line on stderr that has these words, and nothing on stdout."""
    assert (done.code, done.out) == (2, "") and done.err.count("\n") == 1 and done.err.startswith("error: ")
    for word in words:
        assert word in done.err


def test_pack_says_its_bytes_first_and_copies_splits(bench: Any, tmp_path: Path) -> None:
    write_small_out(tmp_path / "out")
    words = ["pack", tmp_path / "out", "--to", tmp_path / "pack", *small_assignments()]
    done = bench(*words, "--json")
    assert done.code == 0 and "73.7 kB; " in done.err.splitlines()[0] and "are free" in done.err.splitlines()[0]
    told = json.loads(done.out)
    assert (told["n_clips"], told["n_shards_made"], told["splits"]) == (24, 1, ["v"])
    write_split(tmp_path / "out", "later", {"a": "train"})
    done = bench(*words)
    assert done.code == 0 and "nothing to do" in done.out and "later, v" in done.out
    _refused(bench("pack", tmp_path / "none", "--to", tmp_path / "p"), "is no data set")


def test_pack_refuses_a_disk_that_is_too_small(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_out(tmp_path / "out")
    usage = shutil.disk_usage(tmp_path)._replace(free=7)
    monkeypatch.setattr("cityguessr_bench.data.shutil.disk_usage", lambda _: usage)
    done = bench("pack", tmp_path / "out", "--to", tmp_path / "pack", *small_assignments())
    assert done.code == 3 and "takes 73.7 kB" in done.err and "has 7 B free" in done.err


def test_settings_come_from_preset_then_file_then_set(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[train]\nlr = 0.25\nseed = 5\n[data]\nframes = 16\n")
    done = bench("train", "--show-config", "--preset", "tiny", "--config", file, "--set", "train.seed=6")
    assert done.code == 0
    shown = RunConfig.of(tomllib.loads(done.out), "stdout")
    tiny = preset("tiny")
    expected = dataclasses.replace(
        tiny,
        data=dataclasses.replace(tiny.data, frames=16),
        train=dataclasses.replace(tiny.train, lr=0.25, seed=6),
    )
    assert shown == expected
    assert RunConfig.of(tomllib.loads(bench("train", "--show-config").out), "stdout") == preset("paper")


def test_settings_that_cannot_be(bench: Any, pack: Path, tmp_path: Path) -> None:
    show = ("train", "--show-config")
    _refused(bench(*show, "--preset", "big"), "there is no preset 'big'", "paper, authors, improved, tiny")
    _refused(bench(*show, "--set", "train.rl=1"), "train.rl is no setting of a run", "lr")
    _refused(bench(*show, "--set", "train.lr=fast"), "train.lr is 'fast'", "Give a number")
    _refused(bench(*show, "--model", "other"), "there is no model 'other'", "cityguessr")
    _refused(bench(*show, "--config", tmp_path / "none.toml"), "none.toml cannot be read")
    _refused(bench("train", "--run", tmp_path / "r", "--split", "v"), "DATA is missing")
    _refused(bench("train", pack, "--split", "v"), "--run is missing")
    _refused(bench("train", pack, "--run", tmp_path / "r"), "--split is missing")
    _refused(bench(*_train(pack, tmp_path / "r", train={"precision": "fp16"})), "fp16 needs a GPU")
    _refused(bench(*_train(pack, tmp_path / "r", "--device", "tpu")), "there is no device 'tpu'")
    if not torch.cuda.is_available():
        _refused(bench(*_train(pack, tmp_path / "r", "--device", "cuda")), "has no GPU")
    assert not (tmp_path / "r").exists()


def test_data_that_does_not_fit(bench: Any, pack: Path, tmp_path: Path) -> None:
    run = tmp_path / "r"
    _refused(bench(*_train(tmp_path / "none", run)), "there is no folder")
    _refused(bench(*_train(pack, run, "--split", "x")), "has no split x; it has v", "cgtool split")
    _refused(bench(*_train(pack, run, train={"watch": "val"})), "has no part val", "cgtool split", "--val 0.1")
    _refused(bench(*_train(pack, run, data={"size_px": 24})), "data.size_px=16", "wants 24")
    _refused(bench(*_train(pack, run, network={"n_scenes": 17})), "network.n_scenes can be 16 or 365")
    stale = write_split(tmp_path, "stale", {"tokyo0_00000": "train", "gone": "test"})
    _refused(bench(*_train(pack, run, "--split", stale)), "23 clips of the pack have no part", "1 parts are of clips")
    assert not run.exists()


def test_weights_that_are_missing_or_of_another_geometry(bench: Any, pack: Path, tmp_path: Path) -> None:
    run = tmp_path / "r"
    hub = {"weights": "MCG-NJU/videomae-small-finetuned-kinetics"}
    _refused(bench(*_train(pack, run, network=hub)), "are not on this machine", "hf download", "$CGTOOL_WEIGHTS")
    _refused(bench(*_train(pack, run, network={"weights": "/no/such"})), "there is no folder /no/such")
    _refused(
        bench(*_train(pack, run, network={"tla": True}, text={"encoder": "some/encoder"})),
        "some/encoder",
        "hf download",
    )
    long = small_model(frames=8)
    other = write_hub_folder(tmp_path / "long", long, hub_state(long))
    done = bench(*_train(pack, run, network={"weights": other}))
    _refused(done, "takes 8 frames of 16 px", "data.frames=8", "network.weights=random")
    assert not run.exists()
    deep = small_model(layers=3, heads=2)
    folder = write_hub_folder(tmp_path / "deep", deep, hub_state(deep))
    done = bench(*_train(pack, run, network={"weights": folder}, train={"epochs": 1}))
    assert done.code == 0 and "the checkpoint's geometry is taken: layers 3 (set: 2), heads 2 (set: 3)" in done.err
    assert (RunDir.open(run).model_config.layers, RunDir.open(run).config.network.layers) == (3, 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_shard_stops_with_its_name(bench: Any, pack: Path, tmp_path: Path, workers: int) -> None:
    broken = Path(shutil.copytree(pack, tmp_path / "pack"))
    shard = broken / "shards" / "00000.npy"
    content = bytearray(shard.read_bytes())
    content[300] ^= 255  # of the first clip
    shard.write_bytes(content)
    done = bench(*_train(broken, tmp_path / "r", "--workers", workers))
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith(f"error: the shard {shard} is damaged: clip tokyo0_00000") and "cgtool bench pack" in last
    assert "Traceback" not in done.err


def test_too_little_memory_is_one_line(bench: Any, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = CityGuessr.forward

    def full(self: CityGuessr, *given: Any) -> Any:
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return forward(self, *given)

    monkeypatch.setattr(CityGuessr, "forward", full)
    done = bench(*_train(pack, tmp_path / "r"))
    assert done.code == 2 and "not enough memory for train.batch=7" in done.err.splitlines()[-1]


def test_a_full_disk_says_how_to_go_on(bench: Any, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFullError("no space left while writing x", "Free some space and run the same command again")

    monkeypatch.setattr("cityguessr_bench.checkpoints.save", full)
    done = bench(*_train(pack, tmp_path / "r"))
    assert done.code == 3 and done.err.splitlines()[-1].endswith("run the same command again, with --resume")


def test_the_end_of_a_run_as_json_and_a_second_time(bench: Any, pack: Path, tmp_path: Path) -> None:
    done = bench(*_train(pack, tmp_path / "r", "--json"))
    assert done.code == 0 and "[6/6] loss " in done.err and "epoch 2/2: test top-1: city " in done.err
    told = json.loads(done.out)
    (one,) = told["runs"]
    assert (one["steps"], one["epochs"], one["split"], one["was_finished"]) == (6, 2, "v", False)
    assert set(one["best"]) == {"city_top1", "epoch"} and told["notes"] == []
    _refused(bench(*_train(pack, tmp_path / "r")), "is not empty", "Add --resume")
    done = bench(*_train(pack, tmp_path / "r", "--resume"))
    assert done.code == 0 and "was finished" in done.out
    done = bench(*_train(pack, tmp_path / "r", "--resume", train={"lr": 0.5, "seed": 9}))
    _refused(done, "train.lr=0.0007, not 0.5; train.seed=0, not 9")


def test_sigterm_ends_with_130_and_resume_goes_on(bench: Any, pack: Path, tmp_path: Path) -> None:
    """A real process, in the middle of a long run."""
    run = tmp_path / "r"
    words = [str(word) for word in _train(pack, run, train={"epochs": 5000, "watch": "none", "report": "last"})]
    process = subprocess.Popen(
        [*CGTOOL, "bench", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )
    log = run / "metrics.jsonl"
    while process.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") > 6):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted. The same command goes on with --resume"
    from cityguessr_bench import checkpoints

    newest = checkpoints.last(run / "checkpoints")
    assert newest is not None and 6 <= checkpoints.read_progress(newest).step < 15_000
    _refused(bench(*_train(pack, run, "--resume", train={"epochs": 2})), "train.epochs=5000, not 2")


def test_small_settings_are_the_same_by_flags() -> None:
    """The helper that other tests use."""
    from cityguessr_bench.config_text import read_assignments

    words = small_assignments(network={"tla": True})
    changed = preset("tiny").changed(read_assignments(words[3::2]), "--set")
    assert words[:2] == ["--preset", "tiny"] and changed == small_config(network={"tla": True})


def test_an_output_directory_is_not_packed_before_split_and_weights_are_there(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small_pack(tmp_path)
    out, run = tmp_path / "out", tmp_path / "r"
    words = _train(out, run)
    _refused(bench(*words[: words.index("--split")], "--split", "nosuch"), "has no split nosuch", "cgtool split")
    monkeypatch.setenv("CGTOOL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = bench(*words, "--set", "network.weights=some/checkpoint")
    assert done.code == 2 and "some/checkpoint" in done.err and "packing" not in done.err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out.")] == [] and not run.exists()


def test_an_ablation_changes_what_its_name_says(bench: Any) -> None:
    words = ["train", "--show-config", "--preset", "tiny"]
    as_is, changed = (tomllib.loads(bench(*words, *more).out) for more in ((), ("--ablation", "scenes-365")))
    differing = {
        f"{section}.{name}": value
        for section, values in changed.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value != as_is[section][name]
    }
    assert differing == {"network.n_scenes": 365}
    won = tomllib.loads(bench(*words, "--ablation", "tla-none", "--set", "network.tla=true").out)
    assert won["network"]["tla"]
    _refused(bench(*words, "--ablation", "scenes-17"), "there is no ablation 'scenes-17'", "scenes-365")
