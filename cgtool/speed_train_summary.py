"""What `cgtool bench speed train` prints: a line a figure, 80 columns; or one JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from .console import stdout
from .summary import span
from .tables import fact

if TYPE_CHECKING:
    from cityguessr_bench.speed.measure import TrainSpeed

_FACT = 9


def show(found: TrainSpeed) -> None:
    """Print a measurement."""
    console = stdout()
    for name, value in _lines(found):
        console.print(fact(name, value, _FACT))


def as_json(found: TrainSpeed) -> dict[str, Any]:
    """All of it, in plain numbers; `estimate` is arithmetic on measured rates, everything else was measured."""
    from cityguessr_bench.speed.measure import EPOCHS, TEST_CLIPS, TRAIN_CLIPS

    training, plain = found.training, found.plain
    return {
        "device": found.device,
        "data": found.data,
        "workers": found.workers,
        "config": found.config.to_dict(),
        "steps": training.n_steps,
        "clips": training.n_clips,
        "wall_s": training.wall_s,
        "clips_per_s": found.clips_per_s,
        "flop_per_clip": {"arithmetic": found.operations, "counted": found.counted_operations},
        "flop_per_s": found.flops_per_s,
        "peak": {
            "flop_per_s": found.peak.flops_per_s,
            "kind": found.peak.kind,
            "stated": found.peak.stated,
            "about": found.peak.about,
        },
        "share_of_peak": found.share_of_peak,
        "waiting_share": found.waiting_share,
        "peak_memory_bytes": found.peak_memory_bytes,
        "scoring": {"clips": found.scoring.n_clips, "clips_per_s": found.scoring.clips_per_s},
        "estimate": {
            "epochs": EPOCHS,
            "train_clips": TRAIN_CLIPS,
            "test_clips": TEST_CLIPS,
            "training_s": found.training_s,
            "scoring_s": found.scoring_s,
        },
        "plain": None
        if plain is None
        else {
            "clips_per_s": plain.clips_per_s,
            "waiting_share": plain.waiting_share,
            "ratio": plain.ratio,
            "rounds": [{"ours": ours, "plain": theirs} for ours, theirs in plain.rounds],
        },
        "notes": list(found.notes),
    }


def _lines(found: TrainSpeed) -> Iterator[tuple[str, str]]:
    from cityguessr_bench.speed.measure import EPOCHS, TEST_CLIPS, TRAIN_CLIPS

    data, train, training = found.config.data, found.config.train, found.training
    what = f"{n_of(data.frames, 'frame')} of {data.size_px} px" if not data.features else data.features
    yield "run", f"{found.config.model}, {what}, batch {train.batch}, {train.precision}, on {found.device}"
    yield "data", f"{found.data}, {n_of(found.workers, 'thread')} reading ahead"
    took = f"{n_of(training.n_steps, 'step')} in {span(training.wall_s)}"
    yield "training", f"{_figure(found.clips_per_s)} clips/s ({took})"
    yield "compute", f"{_flops(found.flops_per_s)}/s, {found.share_of_peak:.1%} of the peak"
    yield "peak", f"{_flops(found.peak.flops_per_s)}/s in {found.peak.kind}: {found.peak.about}"
    yield "a clip", _operations(found)
    yield "waiting", f"{found.waiting_share:.1%} of the time for data" + (", at most" if found.device != "cpu" else "")
    whose = "of this process" if found.device == "cpu" else "of the GPU"
    yield "memory", f"{size(found.peak_memory_bytes)} {whose}, at most"
    yield "scoring", f"{_figure(found.scoring.clips_per_s)} clips/s"
    total = span(found.training_s + found.scoring_s)
    job = f"{EPOCHS} epochs of {TRAIN_CLIPS:,} clips ({span(found.training_s)}) and {TEST_CLIPS:,} scored"
    yield "paper", f"{total}, an estimate by arithmetic on these rates: {job}"
    if found.plain is not None:
        plain = found.plain
        wait = f"{plain.waiting_share:.0%} of its time goes into reading JPEGs"
        turns = f"medians of {n_of(len(plain.rounds), 'round')} in turns"
        yield "plain", f"{_figure(plain.clips_per_s)} clips/s as the released code does it; {wait}"
        yield "ratio", f"{_figure(plain.ratio)}x ({turns})"
    for note in found.notes:
        yield "note", note


def _operations(found: TrainSpeed) -> str:
    counted = f"{_flops(found.counted_operations)} forward and backward, counted"
    if found.operations is None:
        return f"{counted}; by arithmetic not known for {found.config.model}"
    more = found.counted_operations / found.operations - 1
    return f"{_flops(found.operations)} forward and backward by arithmetic, {_flops(found.counted_operations)} " + (
        f"counted ({more:+.1%})"
    )


def _flops(value: float) -> str:
    for unit, scale in (("TFLOP", 1e12), ("GFLOP", 1e9)):
        if value >= scale:
            return f"{_figure(value / scale)} {unit}"
    return f"{_figure(value / 1e6)} MFLOP"


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
