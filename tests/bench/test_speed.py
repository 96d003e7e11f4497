"""`bench speed train` inside: what a clip costs, what the device can do, and that what is timed is the real loop."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cityguessr_bench.models import build_model
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import preset, settings
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.speed import peak
from cityguessr_bench.speed.measure import SpeedRequest, measure
from cityguessr_bench.speed.operations import by_arithmetic, counted
from cityguessr_bench.speed.ours import Ours, Scoring, make_job, operations_of
from cityguessr_bench.speed.stretch import Stretch, Waiting
from cityguessr_bench.train.log import Silent
from cityguessr_bench.train.loop import fit
from cityguessr_bench.train.run import make_accelerator
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import Level
from tests.support_runs import make_small_pack, small_config

CLASSES: dict[Level, int] = {"city": 3, "state": 3, "country": 2, "continent": 2}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips of four frames of 16 px; a third has no scene label."""
    return make_small_pack(tmp_path_factory.mktemp("data"), scenes=(True, True, False))


def _steady(**sections: Any) -> RunConfig:
    """Settings whose steps do not depend on how many there will be."""
    return small_config(train={"schedule": "constant", "warmup": 0.0, "watch": "none", "report": "last"}, **sections)


def test_a_clip_of_the_paper_costs_341_gflop() -> None:
    found = by_arithmetic(settings("paper", "cityguessr"))
    assert found is not None and found / 1e9 == pytest.approx(341, abs=0.7)
    assert by_arithmetic(preset("tiny").changed({"model": "mine"}, "the test")) is None


@pytest.mark.parametrize("name", ["cityguessr", "videomae"])
def test_what_is_counted_is_what_arithmetic_says(name: str) -> None:
    """Whichever way attention is computed."""
    found = {}
    for attention in ("sdpa", "eager"):
        size = {"data": {"frames": 8, "stored_frames": 8, "size_px": 64}, "network": {"attention": attention}}
        config = settings("tiny", name).changed(size, "the test")
        model = build_model(name, config.model_config(CLASSES, 8, scenes=config.network.scenes))
        clip = torch.randint(0, 256, (1, 8, 3, 64, 64), dtype=torch.uint8)
        found[attention], known = counted(model, clip, torch.full((1, 16), 1 / 16)), by_arithmetic(config)
        assert known is not None and found[attention] == pytest.approx(known, rel=0.05)
        assert all(parameter.grad is None for parameter in model.parameters())
    assert found["sdpa"] == found["eager"]


def test_peaks_are_those_behind_published_roofs() -> None:
    """Training clips/s of ViT-S at 16 x 224 x 224 at the dense peak, 341 GFLOP a clip."""
    one = by_arithmetic(settings("improved", "videomae")) or 0.0
    for name, kind, clips_per_s in (
        ("NVIDIA H100 80GB HBM3", "bf16", 2_899),
        ("NVIDIA A100-SXM4-80GB", "bf16", 914),
        ("NVIDIA RTX A6000", "fp32", 113),
        ("NVIDIA RTX A6000", "bf16", 454),
    ):
        assert peak.STATED[name][kind] / one == pytest.approx(clips_per_s, rel=0.005), name
    for kinds in peak.STATED.values():
        assert kinds["fp32"] <= kinds["tf32"] < kinds["bf16"] == kinds["fp16"]


def test_a_part_of_a_gpu_and_a_cpu_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "measured", lambda *_: 5e12)
    cuda = torch.device("cuda", 0)
    for name, stated in (("NVIDIA H100 80GB HBM3", True), ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", False), ("New", False)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        found = peak.find_peak(cuda, "bf16")
        assert (found.stated, found.flops_per_s) == (stated, 989e12 if stated else 5e12)
    found = peak.find_peak(CPU, "fp32")
    assert not found.stated and "measured" in found.about


def test_fp32_is_tf32_where_torch_rounds_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda", 0)
    assert peak.kind_of("fp32", cuda) == "fp32" and peak.kind_of("bf16", cuda) == "bf16"
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert peak.kind_of("fp32", cuda) == "tf32" and peak.kind_of("fp32", CPU) == "fp32"


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_a_measured_peak_is_of_the_quickest_product(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    multiply, operations = peak.product(CPU, kind, 32)
    with FlopCounterMode(display=False) as counter:
        multiply()
    assert counter.get_total_flops() == operations == 65_536
    # a clock: start, then (before, after, question) of each product; the quickest takes a quarter of a second
    ticks = iter([0.0, 0.0, 0.5, 0.5, 0.5, 0.75, 0.75, 0.75, 2.0, 2.0])
    monkeypatch.setattr(peak.time, "perf_counter", lambda: next(ticks))
    assert peak.measured(CPU, kind, 1.0, 32) == 65_536 / 0.25


def test_only_asking_for_the_next_is_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cityguessr_bench.speed.stretch.time.perf_counter", lambda: now[0])

    def slow() -> Iterator[int]:
        for n in range(3):
            now[0] += 1.0
            yield n

    waiting = Waiting()
    for _ in waiting.timed(slow()):
        now[0] += 10.0
    assert (waiting.seconds, now[0]) == (3.0, 33.0)
    whole = Stretch(1, 4, 2.0, 0.5) + Stretch(2, 8, 2.0, 1.5)
    assert whole == Stretch(3, 12, 4.0, 2.0) and whole.clips_per_s == 3.0


def test_the_real_loop_is_what_is_timed(folder: Path, tmp_path: Path) -> None:
    """After an epoch of it the weights are those of loop.fit, number by number."""
    pack = Pack.open(folder)
    config = _steady(network={"tla": True})
    accelerator = make_accelerator("cpu", "fp32")
    with Ours(make_job(tmp_path / "a", config, pack), accelerator, 0) as ours:
        parts = ours.advance(1), ours.advance(3)
        job = ours.job
    assert [(part.n_steps, part.n_clips) for part in parts] == [(1, 7), (3, 7 + 7 + 3)]  # 24 clips in batches of 7
    assert all(0 < part.waiting_s < part.wall_s for part in parts)
    other = make_job(tmp_path / "b", config, pack)
    once = other.run.config.changed({"train": {"epochs": 1}}, "the test")
    other = dataclasses.replace(other, run=dataclasses.replace(other.run, config=once))
    assert fit(other, accelerator, Silent()).step == 4
    before = make_job(tmp_path / "c", config, pack).model.state_dict()
    for name, tensor in job.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name
    assert any(not torch.equal(tensor, before[name]) for name, tensor in job.model.state_dict().items())
    assert not (tmp_path / "a" / "checkpoints").exists()


def test_seconds_are_the_least_and_scoring_goes_round(folder: Path, tmp_path: Path) -> None:
    pack = Pack.open(folder)
    job = make_job(tmp_path / "a", _steady(), pack)
    scoring = Scoring(job, CPU, 2)
    found = scoring.advance(9)
    assert (found.n_steps, found.n_clips) == (9, 24 + 24 + 7) and 0 < found.waiting_s < found.wall_s
    assert scoring.advance(seconds=0.2).wall_s >= 0.2
    with Ours(job, make_accelerator("cpu", "fp32"), 1) as ours:
        assert ours.advance(seconds=0.2).wall_s >= 0.2
    assert operations_of(job, CPU) > 0


def test_ctrl_c_ends_it_after_a_step(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    # A shell starts background jobs deaf to it, and another test of this process may have left it to the system
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with Ours(make_job(tmp_path / "a", _steady(), Pack.open(folder)), make_accelerator("cpu", "fp32"), 0) as ours:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ours.advance(100)
        assert ours._trainer.progress.step == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_measurement_adds_up_and_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config, said = _steady(), []
    found = measure(SpeedRequest(config, folder, 0.2, 2, "cpu", 1, plain=True), said.append)
    assert list(tmp_path.iterdir()) == []
    assert "warming up: 2 steps of 7 clips" in said
    assert found.operations == by_arithmetic(config) and found.training.n_steps >= 5
    assert found.flops_per_s == found.clips_per_s * (found.operations or 0)
    assert found.share_of_peak == found.flops_per_s / found.peak.flops_per_s and not found.peak.stated
    assert found.waiting_share == found.training.waiting_s / found.training.wall_s < 1
    assert found.training_s == 10 * 54_614 / found.clips_per_s
    assert found.scoring_s == 13_655 / found.scoring.clips_per_s
    assert found.plain is not None and len(found.plain.rounds) == 5
    ours, plain = (sorted(rates)[2] for rates in zip(*found.plain.rounds, strict=True))
    assert (found.clips_per_s, found.plain.clips_per_s, found.plain.ratio) == (ours, plain, ours / plain)
    assert found.plain.waiting_share > 0.5 and found.peak_memory_bytes > 50e6


def test_without_data_random_clips_of_every_city_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    found = measure(SpeedRequest(small_config(), None, 0.1, 1, "cpu"), said.append)
    assert said[0].startswith("no data named: making 166 random clips, 510.0 kB")
    assert found.plain is None and found.workers == 0 and found.data == "random clips"
    assert any("random clips, which lie in memory" in note for note in found.notes) and list(tmp_path.iterdir()) == []


def test_what_cannot_be_measured_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = settings("tiny", "frozen")
    with pytest.raises(InputError, match="the run is of features"):
        measure(SpeedRequest(features, plain=True, device="cpu"))
    with pytest.raises(InputError, match="measured with a pack of them"):
        measure(SpeedRequest(features, device="cpu"))
    with pytest.raises(InputError, match=r"made with data\.stored_frames=4, and the run wants 8"):
        measure(SpeedRequest(preset("tiny").changed({"data": {"stored_frames": 8}}, ""), folder, device="cpu"))
    with pytest.raises(InputError, match="no folder"):
        measure(SpeedRequest(small_config(), tmp_path / "none", device="cpu"))
    monkeypatch.setattr("accelerate.Accelerator.num_processes", 2)
    with pytest.raises(InputError, match="torchrun started several"):
        measure(SpeedRequest(small_config(), device="cpu"))
