"""What the loop does for a GPU, without one: copies beside the computation, one kernel for Adam, nothing that waits.

A stand-in notes the order of what a GPU would be told; that a real one does it is not tested here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cityguessr_bench.loader import Batch
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import TrainConfig
from cityguessr_bench.speed.ours import make_job
from cityguessr_bench.train.log import Silent
from cityguessr_bench.train.loop import Trainer
from cityguessr_bench.train.optimiser import make_optimiser
from cityguessr_bench.train.run import make_accelerator
from cityguessr_bench.train.to_device import on_device
from tests.support_runs import SMALL, make_small_pack

CUDA = torch.device("cuda", 0)


class FakeGpu:
    """Streams, events and tensors that write what they are told into `log`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.n_steps = 0
        self.stream = ""
        for name, value in {
            "Stream": lambda _: self._stream("copying"),
            "current_stream": lambda _: self._stream("computing"),
            "stream": self._using,
            "Event": self._event,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def batches(self, n: int) -> Iterator[Any]:
        """Batches 1 to n, each noted when it is read."""
        for number in range(1, n + 1):
            self.log.append(f"read {number}")
            yield Batch(*(self._tensor(number) for _ in Batch._fields))  # type: ignore[misc]

    def step(self, batch: Any) -> None:
        """Compute on a batch."""
        assert all(tensor.kept_for == "computing" for tensor in batch)
        self.n_steps += 1
        self.log.append(f"step {batch.clips.number}")

    def _tensor(self, number: int) -> Any:
        made = SimpleNamespace(number=number, kept_for="")

        def to(device: torch.device, *, non_blocking: bool) -> Any:
            assert device == CUDA and non_blocking and self.stream == "copying"
            if f"copy {number}" not in self.log:
                self.log.append(f"copy {number}")
            return self._tensor(number)

        made.to, made.record_stream = to, lambda stream: setattr(made, "kept_for", stream.name)
        return made

    def _stream(self, name: str) -> Any:
        def record_event() -> Any:
            return next(line for line in reversed(self.log) if line.startswith("copy"))

        def wait_event(event: str) -> None:
            self.log.append(f"wait for {event}")

        return SimpleNamespace(name=name, record_event=record_event, wait_event=wait_event)

    def _event(self, *, blocking: bool) -> Any:
        assert blocking  # else a core of the loader spins
        made = SimpleNamespace(after=0)
        made.record = lambda stream: setattr(made, "after", self.n_steps)
        made.synchronize = lambda: self.log.append(f"end of step {made.after}")
        return made

    @contextmanager
    def _using(self, stream: Any) -> Iterator[None]:
        self.stream = stream.name
        yield
        self.stream = ""


def test_a_batch_is_copied_while_the_one_before_is_computed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    for batch in on_device(gpu.batches(5), CUDA):
        gpu.step(batch)
    assert [line for line in gpu.log if line.startswith("step")] == [f"step {n}" for n in range(1, 6)]
    for n in range(1, 6):
        at = gpu.log.index(f"step {n}")
        assert gpu.log[at - 1] == f"wait for copy {n}"  # on the GPU, not in Python
        if n < 5:
            assert gpu.log.index(f"copy {n + 1}") < at
    # three steps queued: the first has to end before another batch is asked for
    assert [line for line in gpu.log if line.startswith("end")] == ["end of step 1", "end of step 2"]
    assert gpu.log.index("step 3") < gpu.log.index("end of step 1") < gpu.log.index("read 5")


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_batches_all_arrive(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    gpu = FakeGpu(monkeypatch)
    for batch in on_device(gpu.batches(n), CUDA):
        gpu.step(batch)
    assert gpu.n_steps == n


def test_on_a_cpu_nothing_is_copied_or_read_ahead() -> None:
    asked = []

    def source() -> Iterator[Batch]:
        for n in range(3):
            asked.append(n)
            yield Batch(*(torch.full((2,), n) for _ in Batch._fields))

    for n, batch in enumerate(on_device(source(), torch.device("cpu"))):
        assert asked == list(range(n + 1)) and all(tensor.tolist() == [n, n] for tensor in batch)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_one_kernel_for_all_weights_gives_the_same_weights(name: Any) -> None:
    def trained(fused: bool) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(7, 5)
        optimiser = make_optimiser(model, TrainConfig(optimiser=name, lr=0.1, weight_decay=0.1), fused=fused)
        assert all(bool(group["fused"]) is fused for group in optimiser.param_groups)
        for seed in range(20):
            optimiser.zero_grad()
            loss: Any = model(torch.randn(3, 7, generator=torch.Generator().manual_seed(seed))).square().sum()
            loss.backward()
            optimiser.step()
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.allclose(trained(False), trained(True), rtol=1e-4, atol=1e-6)


class Waits(TorchDispatchMode):
    """Notes operations whose answer Python needs: on a GPU each waits for all that is queued."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0].removeprefix("aten::")
        if name in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique_dim", "_unique2"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return Pack.open(make_small_pack(tmp_path_factory.mktemp("data"), scenes=(True, True, False)))


@pytest.mark.parametrize("name", ["cityguessr", "videomae", "timesformer", "mae", "geodecoder"])
def test_no_step_waits_for_a_gpu(pack: Pack, tmp_path: Path, name: str) -> None:
    """All but the optimiser, whose usual kind on a CPU counts its steps in Python."""
    preset = settings("tiny", name)
    data = {"stored_frames": 4, "size_px": 16, "frames": min(4, preset.data.frames)}
    network = {**SMALL["network"], "tla": name == "cityguessr"}
    config = preset.changed({"data": data, "network": network, "train": {"batch": 7, "grad_clip": 1.0}}, "the test")
    with Trainer(make_job(tmp_path, config, pack), make_accelerator("cpu", "fp32"), Silent(), 0) as trainer:
        monitored = iter(trainer.batches())
        trainer.optimiser.step = lambda: None
        with Waits() as waits:
            for _ in range(3):
                trainer.step(next(monitored))
        assert waits.found == []
        with Waits() as waits:
            torch.ones(3).sum().item()
        assert waits.found == ["_local_scalar_dense"]
