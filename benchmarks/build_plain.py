"""Building against what published scripts do: rows "build / plain, mobilenet0.25" and "build / plain, resnet50".

Ours are the computing stages of a build with their threads, as a worker process runs them; the reference is
plain_build.py. Both work on the same clip, from the video file to JPEGs on the disk (ours also to digests, perceptual
hashes and tables), each in a process of its own, in turns. Starting, importing and loading models are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cityguessr_data.core.errors import MachineError
from cityguessr_data.core.timing import ROUNDS, n_cores
from cityguessr_data.vision.agreement import Difference, difference

from .build_plain_sides import CONFIDENCE, Ours, Plain, Work
from .document import Headline, Section, table
from .footage import street_video
from .turns import Candidate, Turn, in_turns

if TYPE_CHECKING:
    from cityguessr_data.vision.retinaface.net import Backbone

    from .build_plain_sides import Precision

    Turns = Mapping[str, Turn]

SAME_PX, SAME_SCORE = 0.5, 1e-3
"""What counts as equal outputs."""


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Run every candidate and compare what it found with the reference."""
    from cityguessr_data.media.decode import decode, index_video
    from cityguessr_data.vision.weights import find

    from .random_networks import write_resnet18, write_retinaface

    full = size == "full"
    rounds = ROUNDS if full else 1
    width, height = (1280, 720) if full else (320, 180)
    scene_weights, random_weights = scratch / "resnet18.pth", scratch / "resnet50.pth"
    works = []
    for n_frames, samples in ((900, 100), (108, 12)) if full else ((18, 2), (9, 1)):
        video = scratch / f"{n_frames}.mp4"
        footage = street_video(video, n_frames / 30, f"{width}x{height}")
        works.append(Work(video, width, height, n_frames, samples, scratch, scene_weights))
    small, large = works
    write_resnet18(scene_weights)
    spread = {0, large.n_frames // 2, large.n_frames - 1}
    frames = [frame.rgb for frame in decode(large.video, spread, large.n_frames, index_video(large.video))]
    write_retinaface("resnet50", np.stack(frames), random_weights)
    real = find("retinaface-mobilenet0.25")
    light = _measured(small, "mobilenet0.25", real, ("fp32",), rounds, full)
    heavy = _measured(large, "resnet50", random_weights, ("fp32", "bf16"), rounds, full)
    body = _BODY.format(
        width=width,
        height=height,
        footage=footage,
        cores=n_cores(),
        rounds=rounds,
        real=real.name,
        folded=", a graph that comes with its batch norms folded" if real.suffix == ".onnx" else "",
        light=_found(light, small, rounds),
        heavy=_found(heavy, large, rounds),
        small=small,
        large=large,
        confidence=CONFIDENCE,
    )
    return Section("Building: against what published scripts do", [_light(light), _heavy(heavy)], body)


_BODY = """
Frames sampled, hidden, labelled and saved a second, on {width}x{height} made of `{footage}`, by one process on
{cores} cores. `plain` is benchmarks/plain_build.py: a seek with OpenCV for every sampled frame, one picture a call
through eager fp32 networks, anchors built again for each, a blur of the whole picture, a ResNet-18 by Pillow and
torchvision, cv2.imwrite, one step after the other. Ours are the computing stages of `cgtool build-dataset` as a worker
process runs them; they also hash, sync and write tables. Medians of {rounds} rounds, in turns, each in a process of its
own; starting and loading models is not counted. The headlines are ratios of seconds on the clock. In all of them the
scene network is the same ResNet-18 with random weights.

### MobileNet-0.25

Weights `{real}`{folded}; one clip of {small.n_frames} frames, {small.samples} sampled.

{light}

### ResNet-50

Its weights are random here, which cost what real ones do: batch norms with the statistics of three frames, class heads
with a bias that leaves about as many candidates as a street has. One clip of {large.n_frames} frames, {large.samples}
sampled.

{heavy}

With random weights many scores lie close to {confidence}, so bf16 moves more of them over it than in footage with real
weights; for those see the section on detections.
"""


def _measured(
    work: Work, backbone: Backbone, weights: Path, precisions: Sequence[Precision], rounds: int, apart: bool
) -> dict[str, Turn]:
    """`plain` and `ours, PRECISION`; a precision that this machine does not have is left out."""
    makers: dict[str, Callable[[], Candidate]] = {"plain": partial(Plain, work, backbone, weights)}
    for precision in precisions:
        if precision == "fp32" or _has_bf16():
            makers[f"ours, {precision}"] = partial(Ours, work, backbone, weights, precision)
    return in_turns(makers, n_cores(), rounds, apart=apart)


def _has_bf16() -> bool:
    from cityguessr_data.vision.retinaface.detector import DetectorConfig, FaceDetector
    from cityguessr_data.vision.weights import find

    try:
        FaceDetector(DetectorConfig("mobilenet0.25", precision="bf16"), find("retinaface-mobilenet0.25"))
    except MachineError:
        return False
    return True


def _difference(turns: Turns, name: str) -> Difference:
    both = zip(turns["plain"].told.faces, turns[name].told.faces, strict=True)
    return sum((difference(one, other, CONFIDENCE) for one, other in both), Difference())


def _equal(of: Difference) -> bool:
    return of.lost == of.new == 0 and of.box_px <= SAME_PX and of.score <= SAME_SCORE


def _ratio(turns: Turns, name: str) -> float:
    return turns["plain"].timing.wall_s / turns[name].timing.wall_s


def _light(turns: Turns) -> Headline:
    ratio, equal = _ratio(turns, "ours, fp32"), _equal(_difference(turns, "ours, fp32"))
    value = f"{ratio:.1f}x with {'equal' if equal else 'other'} faces"
    return Headline("build / plain, mobilenet0.25", value, "5x", ratio >= 5 and equal)


def _heavy(turns: Turns) -> Headline:
    ratio, equal = _ratio(turns, "ours, fp32"), _equal(_difference(turns, "ours, fp32"))
    value, met = f"{ratio:.1f}x in fp32 with {'equal' if equal else 'other'} faces", ratio >= 1.8 and equal
    if "ours, bf16" in turns:
        fast, of = _ratio(turns, "ours, bf16"), _difference(turns, "ours, bf16")
        value += f", {fast:.1f}x in bf16 (scores differ by up to {of.score:.2f})"
        met = met and fast >= 3
    else:
        value, met = f"{value}, bf16 not measured", False
    return Headline("build / plain, resnet50", value, "1.8x and 3x", met)


def _found(turns: Turns, work: Work, rounds: int) -> str:
    return "\n\n".join((_times(turns, work), _faces(turns), _steps(turns, work.samples * rounds)))


def _times(turns: Turns, work: Work) -> str:
    plain = turns["plain"].timing
    rows = []
    for name, turn in turns.items():
        wall_s, cpu_s = turn.timing.wall_s, turn.timing.cpu_s
        low, high = (f"{s / work.samples * 1e3:.0f}" for s in turn.timing.wall_range_s)
        cells = [f"{work.samples / wall_s:.2f}", f"{wall_s / work.samples * 1e3:.0f} ({low} to {high})"]
        cells += [f"{cpu_s / work.samples * 1e3:.0f}", f"{plain.wall_s / wall_s:.1f}x", f"{plain.cpu_s / cpu_s:.1f}x"]
        rows.append([name, *cells])
    return table(["", "frames/s", "ms a frame (range)", "CPU ms a frame", "faster", "less CPU"], rows)


def _faces(turns: Turns) -> str:
    lines = []
    for name in (name for name in turns if name != "plain"):
        of, scenes = _difference(turns, name), turns["plain"].told.scenes
        same = sum(one == other for one, other in zip(scenes, turns[name].told.scenes, strict=True))
        lines.append(
            f"* {name}: of {of.n_faces} faces that `plain` blurred {of.lost} lost, and {of.new} new; boxes differ by "
            f"up to {of.box_px:.2g} px, scores by up to {of.score:.2g}; the same scene in {same} of {len(scenes)} "
            "frames."
        )
    return "\n".join(lines)


def _steps(turns: Turns, n_frames: int) -> str:
    """Where the time goes."""
    lines = []
    for name, turn in turns.items():
        steps = ", ".join(f"{step} {seconds / n_frames * 1e3:.0f}" for step, seconds in turn.told.seconds.items())
        lines.append(f"* {name}: {steps}")
    return (
        "Milliseconds a sampled frame by step, of `plain` one after the other, of ours side by side:\n\n"
        + "\n".join(lines)
    )
