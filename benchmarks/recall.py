"""Row "detections, fastest fp32 back end": whether what is faster still finds the same faces.

The reference is plain_build.py: eager fp32 PyTorch, batch norms of their own, boxes decoded by code of its own. Every
back end and precision that is installed is compared with it on real photos and frames of real clips, face by face; next
to that stands what each costs, and how many of the faces that people marked it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.core.timing import ROUNDS, Timing, interleaved, n_cores
from cityguessr_data.vision.agreement import Difference, Found, difference, n_recalled

from .document import Headline, Section, table
from .photos import clip_frames, ground_truth, photos

if TYPE_CHECKING:
    import numpy.typing as npt

    from cityguessr_data.vision.retinaface.detector import BackendName, FaceDetector
    from cityguessr_data.vision.runtimes import DeviceName, PrecisionName

    from .plain_build import PlainDetector

    RGB = npt.NDArray[np.uint8]
    Find = Callable[[RGB], Found]

ROW = "detections, fastest fp32 back end"
REFERENCE = "PyTorch fp32, batch norms not folded"
PAPER, STRICT, KEPT = 0.5, 0.2, 0.05
"""Scores from which a face is blurred, by the two blurs, and from which it is told at all."""
TITLES = {"torch": "PyTorch", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}


@dataclass(frozen=True)
class Compared:
    """One back end and precision against the reference."""

    name: str
    precision: str
    found: Sequence[Found]
    """Of every picture."""
    paper: Difference
    strict: Difference


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Compare on all pictures, then time on frames of 1280x720."""
    from cityguessr_data.vision.weights import find

    from .plain_build import PlainDetector

    full = size == "full"
    weights = find("retinaface-mobilenet0.25")
    pictures = list(photos().values())
    n_photos = len(pictures)
    clips = clip_frames(20 if full else 1, None if full else 1)
    pictures += [rgb for frames in clips.values() for rgb in frames]
    reference = partial(_plain, PlainDetector("mobilenet0.25", weights, KEPT))
    others, missing = _installed(weights)
    finders: dict[str, Find] = {REFERENCE: reference} | {name: by for name, (by, _) in others.items()}
    truly = [reference(rgb) for rgb in pictures]
    compared = {REFERENCE: _compared(REFERENCE, "fp32", truly, truly)}
    for name, (by, precision) in others.items():
        compared[name] = _compared(name, precision, truly, [by(rgb) for rgb in pictures])
    timings, n_timed = _timed(finders, [rgb for frames in clips.values() for rgb in frames], full)
    fastest = min((one for one in compared.values() if one.precision == "fp32"), key=lambda c: timings[c.name].wall_s)
    value = f"{fastest.paper.lost} of {fastest.paper.n_faces} faces lost at {PAPER}, "
    value += f"{fastest.strict.lost} of {fastest.strict.n_faces} at {STRICT} ({fastest.name})"
    lost = fastest.paper.lost + fastest.strict.lost
    body = _BODY.format(
        weights=weights.name,
        folded=" (a graph that comes folded, so the reference is folded too)" if weights.suffix == ".onnx" else "",
        n_photos=n_photos,
        n_frames=len(pictures) - n_photos,
        n_clips=len(clips),
        table=_table(compared),
        truth=_truth(compared),
        costs=_costs(timings, n_timed),
        n_timed=n_timed,
        cores=n_cores(),
        rounds=ROUNDS if full else 1,
        missing=f"Not measured: {'; '.join(missing)}." if missing else "",
    )
    return Section(
        "Detections: every back end against the fp32 reference", [Headline(ROW, value, "0", lost == 0)], body
    )


_BODY = """
Faces of MobileNet-0.25 (`{weights}`{folded}) in {n_photos} photos and {n_frames} frames of {n_clips} real clips, each
in its own size. A face is lost where the other back end has no box of that score over it (intersection over union 0.5),
and new where only the other one has. The differences of scores and boxes are the largest of one face of score 0.2 and
over; a face that is lost mostly stands just under the score.

{table}

{truth}

Milliseconds a frame of 1280x720, medians of {rounds} rounds over {n_timed} frames, in turns, in one process on {cores}
cores; detection alone, with preparing the picture and NMS.

{costs}

{missing}
"""


def _installed(weights: Path) -> tuple[dict[str, tuple[Find, str]], list[str]]:
    """What can run here, as name -> (its call, its precision), and why the rest cannot."""
    import torch

    runs: list[tuple[BackendName, PrecisionName, DeviceName]] = [
        ("torch", "fp32", "cpu"),
        ("onnx", "fp32", "cpu"),
        ("openvino", "fp32", "cpu"),
        ("openvino", "bf16", "cpu"),
        ("torch", "bf16", "cpu"),
    ]
    if torch.cuda.is_available():
        runs += [("torch", "fp32", "cuda"), ("torch", "bf16", "cuda"), ("torch", "fp16", "cuda")]
    from cityguessr_data.vision.retinaface.detector import DetectorConfig, FaceDetector

    found: dict[str, tuple[Find, str]] = {}
    missing = [] if torch.cuda.is_available() else ["PyTorch on a GPU (none is here)"]
    for backend, precision, device in runs:
        name = f"{TITLES[backend]} {precision}" + (" on the GPU" if device == "cuda" else "")
        config = DetectorConfig("mobilenet0.25", keep_score=KEPT, backend=backend, precision=precision, device=device)
        try:
            found[name] = (partial(_ours, FaceDetector(config, weights)), precision)
        except (MachineError, InputError) as exc:
            missing.append(f"{name} ({exc.message})")
    return found, missing


def _plain(by: PlainDetector, rgb: RGB) -> Found:
    boxes, scores = by.detect(rgb)
    height, width = rgb.shape[:2]
    return Found(boxes.clip(0, [width, height, width, height]), scores)


def _ours(by: FaceDetector, rgb: RGB) -> Found:
    found = by.detect(rgb[np.newaxis])[0]
    return Found(found.boxes, found.scores)


def _compared(name: str, precision: str, truly: Sequence[Found], found: Sequence[Found]) -> Compared:
    both = list(zip(truly, found, strict=True))
    paper, strict = (sum((difference(a, b, s) for a, b in both), Difference()) for s in (PAPER, STRICT))
    return Compared(name, precision, found, paper, strict)


def _timed(finders: Mapping[str, Find], frames: Sequence[RGB], full: bool) -> tuple[Mapping[str, Timing], int]:
    """On frames of all clips, stretched to one size."""
    import cv2

    shown = [cv2.resize(rgb, (1280, 720)) for rgb in frames[:: max(1, len(frames) // (14 if full else 1))]]
    calls = {name: partial(_all, by, shown) for name, by in finders.items()}
    return interleaved(calls, ROUNDS if full else 1, warm_up=1 if full else 0), len(shown)


def _all(by: Find, frames: Sequence[RGB]) -> None:
    for rgb in frames:
        by(rgb)


def _table(compared: Mapping[str, Compared]) -> str:
    rows = [
        [
            one.name,
            *(str(n) for of in (one.paper, one.strict) for n in (of.n_faces - of.lost, of.lost, of.new)),
            f"{one.strict.score:.2g}",
            f"{one.strict.box_px:.2g}",
        ]
        for one in compared.values()
    ]
    columns = ["", "same, 0.5", "lost", "new", "same, 0.2", "lost", "new", "score differs by", "box differs by, px"]
    return table(columns, rows)


def _truth(compared: Mapping[str, Compared]) -> str:
    """Of the faces that people marked, how many each finds, photo by photo."""
    truth, names = ground_truth(), list(photos())
    if not truth:
        return "There were no photos here on which people marked the faces."
    rows = []
    for one in compared.values():
        cells = []
        for score in (PAPER, STRICT):
            for name, boxes in truth.items():
                cells.append(str(n_recalled(one.found[names.index(name)].over(score).boxes, boxes)))
        rows.append([one.name, *cells])
    counts = [len(boxes) for boxes in truth.values()]
    columns = [""] + [f"of {n}, {score} and over" for score in (PAPER, STRICT) for n in counts]
    return "Faces that people marked, found:\n\n" + table(columns, rows)


def _costs(timings: Mapping[str, Timing], n_frames: int) -> str:
    reference = timings[REFERENCE]
    rows = [
        [
            name,
            f"{one.wall_s / n_frames * 1e3:.1f}",
            f"{one.cpu_s / n_frames * 1e3:.1f}",
            f"{reference.wall_s / one.wall_s:.1f}x",
            f"{reference.cpu_s / one.cpu_s:.1f}x",
        ]
        for name, one in timings.items()
    ]
    return table(["", "ms a frame", "CPU ms a frame", "faster", "less CPU"], rows)
