"""Training's share of what the machine can compute, and the plain loop beside it.

On a CPU: two geometries, each in fp32 and under bf16 autocast, with the fused attention (sdpa) and with the one that is
written out (eager), in turns with products of matrices, which say what the processor reaches at most, and with a loop
like the released code's. A GPU's figures are made there, by `cgtool bench speed train`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from benchmarks.document import Headline, Section, table
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.presets import settings
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.speed.material import random_pack, street_sized_frames
from cityguessr_bench.speed.operations import by_arithmetic
from cityguessr_bench.speed.ours import Ours, make_job, operations_of
from cityguessr_bench.speed.peak import product
from cityguessr_bench.speed.plain import Plain
from cityguessr_bench.speed.stretch import Stretch
from cityguessr_bench.train.run import make_accelerator
from cityguessr_data.core.timing import Timing, interleaved, n_cores

PLAIN = "plain loop, fp32, sdpa"
VARIANTS = (("fp32", "sdpa"), ("fp32", "eager"), ("bf16", "sdpa"), ("bf16", "eager"))
CPU = torch.device("cpu")
NOT_MEASURED = """
Not measured, for want of a GPU: 40 % of an H100's bf16 peak with the loader running (about 1,160 clips/s), under 5 % of
the time waiting for data, the paper's schedule in 10 minutes, 100x the plain loop. What measures them there:
`cgtool bench speed train --set data.frames=16 --set data.stored_frames=16 --set train.batch=64
--set train.precision=bf16 --plain`.
"""


@dataclass(frozen=True)
class Geometry:
    """What is trained, and how much of it in a round."""

    title: str
    config: RunConfig
    steps: int
    """A round of ours."""
    plain_steps: int
    side: int
    """Of the matrices that are multiplied."""
    products: int
    """A round."""


@dataclass(frozen=True)
class Found:
    """Of one geometry."""

    geometry: Geometry
    timings: Mapping[str, Timing]
    rates: Mapping[str, float]
    """Clips/s, of the median round."""
    peaks: Mapping[str, float]
    """Operations a second by fp32 and bf16, of the median round."""
    waiting: Mapping[str, float]
    """Share of the time, over all rounds."""
    flop: float
    """Of a clip, by arithmetic."""
    counted_flop: float

    def share(self, precision: str, attention: str) -> float:
        """Of the peak in that precision."""
        return self.rates[_name(precision, attention)] * self.flop / self.peaks[precision]


@dataclass
class Heard:
    """A call that keeps what its stretches were."""

    advance: Callable[[], Stretch]
    stretches: list[Stretch] = field(default_factory=list)

    def __call__(self) -> None:
        """One more."""
        self.stretches.append(self.advance())


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Train each geometry in each way, in turns."""
    full = size == "full"
    rounds = 5 if full else 1
    frames = street_sized_frames(scratch / "frames", 64 if full else 8)
    found = [_measured(one, frames, scratch / str(at), rounds) for at, one in enumerate(_geometries(full))]
    large = found[-1]
    shares = {precision: max(large.share(precision, way) for way in ("sdpa", "eager")) for precision in large.peaks}
    told = ", ".join(f"{share:.0%} of the measured {precision} peak" for precision, share in shares.items())
    value = f"on a CPU, {large.geometry.title}: {told}"
    target = "40 % of one H100's bf16 peak (not measured: no GPU)"
    body = "\n\n".join([*(_told(one, rounds) for one in found), _rule(found), NOT_MEASURED.strip()])
    return Section("Training", [Headline("train, share of peak", value, target)], body)


def _geometries(full: bool) -> Sequence[Geometry]:
    tiny = settings("tiny", "cityguessr")
    if not full:
        small = {"data": {"frames": 4, "stored_frames": 4, "size_px": 32}, "network": {"hidden": 48, "patch_px": 8}}
        return [Geometry("4 x 32 x 32", tiny.changed({**small, "train": {"batch": 2}}, "tiny"), 1, 1, 256, 2)]
    sixteen = {"data": {"frames": 16, "stored_frames": 16}, "train": {"batch": 2}}
    paper = settings("paper", "cityguessr").changed(sixteen, "the benchmark")
    return [
        Geometry("preset tiny, 8 x 112 x 112, batch 8", tiny, 8, 1, 2048, 10),
        Geometry("ViT-S, 16 x 224 x 224, batch 2", paper, 1, 1, 2048, 10),
    ]


def _measured(geometry: Geometry, frames: Sequence[Path], scratch: Path, rounds: int) -> Found:
    config = geometry.config
    pack = random_pack(scratch / "pack", config.data.pack, 4 * config.train.batch)
    with ExitStack() as opened:
        calls = {_name(*one): Heard(_ours(geometry, pack, *one, scratch, opened)) for one in VARIANTS}
        job = make_job(scratch / "plain", config, pack)
        calls[PLAIN] = Heard(partial(Plain(job, frames, CPU).advance, geometry.plain_steps))
        products = {kind: product(CPU, kind, geometry.side) for kind in ("fp32", "bf16")}
        others = {_product(kind): partial(_repeat, call, geometry.products) for kind, (call, _) in products.items()}
        timings = interleaved({**calls, **others}, rounds)
    counts = {name: call.stretches[-1].n_clips for name, call in calls.items()}
    waits = {name: [one.waiting_s / one.wall_s for one in call.stretches[-rounds:]] for name, call in calls.items()}
    peaks = {kind: n * geometry.products / timings[_product(kind)].wall_s for kind, (_, n) in products.items()}
    return Found(
        geometry,
        timings,
        {name: n / timings[name].wall_s for name, n in counts.items()},
        peaks,
        {name: statistics.median(shares) for name, shares in waits.items()},
        by_arithmetic(config) or 0.0,
        operations_of(job, CPU),
    )


def _ours(
    geometry: Geometry, pack: Pack, precision: str, attention: str, scratch: Path, opened: ExitStack
) -> Callable[[], Stretch]:
    changes = {"train": {"precision": precision}, "network": {"attention": attention}}
    config = geometry.config.changed(changes, "the benchmark")
    job = make_job(scratch / f"{precision}-{attention}", config, pack)
    accelerator = make_accelerator("cpu", config.train.precision)
    return partial(opened.enter_context(Ours(job, accelerator, workers=0)).advance, geometry.steps)


def _told(found: Found, rounds: int) -> str:
    rows = []
    for precision, attention in VARIANTS:
        name = _name(precision, attention)
        flops = f"{found.rates[name] * found.flop / 1e9:,.0f}"
        rows.append([*_row(found, name)[:3], flops, f"{found.share(precision, attention):.0%}", *_row(found, name)[3:]])
    plain = _row(found, PLAIN)
    rows.append([*plain[:3], f"{found.rates[PLAIN] * found.flop / 1e9:,.0f}", "", *plain[3:]])
    columns = ("loop", "clips/s", "CPU s a clip", "GFLOP/s", "of the peak", "waiting for data", "over plain")
    peaks = ", ".join(f"{value / 1e9:,.0f} GFLOP/s in {kind}" for kind, value in found.peaks.items())
    off, side = found.counted_flop / found.flop - 1, found.geometry.side
    return "\n\n".join(
        (
            f"**{found.geometry.title}:**",
            table(columns, rows),
            f"{n_cores()} cores, medians of {rounds} rounds in turns, random weights and clips. The peak is measured "
            f"in the same rounds, by products of two {side} x {side} matrices: {peaks}. A clip is "
            f"{found.flop / 1e9:,.1f} GFLOP forward and backward by arithmetic, "
            f"{found.counted_flop / 1e9:,.1f} counted ({off:+.1%}).",
        )
    )


def _row(found: Found, name: str) -> list[str]:
    timing, rate = found.timings[name], found.rates[name]
    cpu = timing.cpu_s / (rate * timing.wall_s)
    return [name, f"{rate:.2f}", f"{cpu:.3f}", f"{found.waiting[name]:.1%}", f"{rate / found.rates[PLAIN]:.2f}x"]


def _rule(found: Sequence[Found]) -> str:
    """Which of the ways wins, and what is done about it."""
    said = []
    for one in found:
        attention = [
            f"{one.rates[_name(kind, 'sdpa')] / one.rates[_name(kind, 'eager')]:.2f}x eager's clips/s in {kind}"
            for kind in ("fp32", "bf16")
        ]
        half = one.rates[_name("bf16", "sdpa")] / one.rates[_name("fp32", "sdpa")]
        said.append(f"{one.geometry.title}: sdpa has {' and '.join(attention)}; bf16 has {half:.2f}x fp32's with sdpa.")
    rule = (
        "The rule: attention is sdpa unless `network.attention=eager` is set. Autocast is used where `train.precision` "
        "says so, on a CPU as on a GPU, and never unasked: it changes the numbers of a run. A CPU scores in fp32."
    )
    return " ".join([*said, rule])


def _name(precision: str, attention: str) -> str:
    return f"{precision}, {attention}"


def _product(kind: str) -> str:
    return f"products in {kind}"


def _repeat(call: Callable[[], object], n: int) -> None:
    for _ in range(n):
        call()
