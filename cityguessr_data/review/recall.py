"""How many of the faces that a person sees the anonymisation found, by their height: pure functions over boxes.

A face is found where a blurred box overlaps the one that the person drew by half (IoU), one to one. It is hidden where
three quarters of it lie in blurred boxes, whosever they are; the margin that `strict` adds does not count, for its blur
fades to none. Neither says that a face cannot be recognised any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..vision.agreement import pairs
from ..vision.blur import pixel_region
from .clustered import Share, clustered_share

Boxes = npt.NDArray[np.float64]
"""(N, 4): x0, y0, x1, y1 in px of the saved frame."""

HIDDEN_SHARE = 0.75
"""Share of a face's pixels that must lie under blur of full strength."""

EDGES_PX = (16, 32, 64, 128)
"""Between the classes of height."""
HEIGHTS = ("< 16", "16-32", "32-64", "64-128", ">= 128")
"""Names of the classes, in px; a face of 16.0 px is in the second."""

Clusters = Literal["video", "city", "frame", "none"]
"""What the intervals take as drawn anew. Frames where all are of one video. Where the source video of one is not known,
cities, for these have whole videos; with one city there is no interval, for nothing tells which faces go together."""

_WIDEST = 1 << 30


@dataclass(frozen=True)
class LookedFrame:
    """A frame in which a person has drawn every face they see."""

    video: Hashable | None
    """Its source video; None: it is not known."""
    city: Hashable
    """No source video has clips of two."""
    frame: Hashable
    """Itself."""
    drawn: Boxes
    blurred: Boxes
    """Ours that were blurred."""
    detected: Boxes
    """Ours down to the lowest score that is kept; those blurred among them."""


@dataclass(frozen=True)
class Judged:
    """What became of one frame's boxes; the arrays are bool."""

    found: npt.NDArray[np.bool_]
    """(drawn,) matched by a blurred box."""
    hidden: npt.NDArray[np.bool_]
    """(drawn,) under blur."""
    within_reach: npt.NDArray[np.bool_]
    """(drawn,) matched by a detection of any score."""
    true: npt.NDArray[np.bool_]
    """(blurred,) matched by a drawn one."""


@dataclass(frozen=True)
class HeightRow:
    """The shares of one class of height."""

    name: str
    recall: Share
    hidden: Share
    within_reach: Share
    """The recall that the lowest threshold would have."""
    precision: Share
    """By the height of our boxes; the others by that of the drawn ones."""


@dataclass(frozen=True)
class Recall:
    """Over all frames looked at."""

    all: HeightRow
    by_height: tuple[HeightRow, ...]
    """As HEIGHTS."""
    n_frames: int
    n_unknown: int
    """Frames whose source video is not known."""
    n_videos: int | None
    """None: n_unknown is not 0."""
    n_cities: int
    n_drawn: int
    n_blurred: int
    clusters: Clusters


def judge(frame: LookedFrame) -> Judged:
    """Compare the boxes of one frame."""
    matched = pairs(frame.drawn, frame.blurred)
    found, true = np.zeros(len(frame.drawn), bool), np.zeros(len(frame.blurred), bool)
    found[[i for i, _ in matched]] = True
    true[[j for _, j in matched]] = True
    within_reach = np.zeros(len(frame.drawn), bool)
    within_reach[[i for i, _ in pairs(frame.drawn, frame.detected)]] = True
    share = np.array([hidden_share(box, frame.blurred) for box in frame.drawn])
    return Judged(found, share >= HIDDEN_SHARE, within_reach, true)


def hidden_share(face: npt.ArrayLike, blurred: Boxes) -> float:
    """Share of the pixels of `face` (x0, y0, x1, y1) that lie in the boxes `blurred` (N, 4).

    Of both ways to blur these are the pixels that were blurred at full strength.
    """
    region = pixel_region(face, _WIDEST, _WIDEST)
    if region is None:
        return 0.0
    x0, y0, x1, y1 = region
    under = np.zeros((y1 - y0, x1 - x0), bool)
    for box in blurred:
        full = pixel_region(box, _WIDEST, _WIDEST)
        if full is not None:
            left, top, right, bottom = full
            under[max(top - y0, 0) : max(bottom - y0, 0), max(left - x0, 0) : max(right - x0, 0)] = True
    return float(under.mean())


def measure(frames: Iterable[LookedFrame]) -> Recall:
    """Recall and precision over frames that were looked at; each frame once."""
    frames = list(frames)
    judged = [judge(frame) for frame in frames]
    n_unknown = sum(frame.video is None for frame in frames)
    n_videos = len({frame.video for frame in frames})
    n_cities = len({frame.city for frame in frames})
    clusters = _clusters(n_unknown, n_videos, n_cities)
    of = [{"video": frame.video, "frame": frame.frame}.get(clusters, frame.city) for frame in frames]
    drawn = [_classes(frame.drawn) for frame in frames]
    blurred = [_classes(frame.blurred) for frame in frames]

    def row(name: str, wanted: Callable[[npt.NDArray[np.intp]], npt.NDArray[np.bool_]]) -> HeightRow:
        here = [wanted(classes) for classes in drawn]
        ours = [wanted(classes) for classes in blurred]
        return HeightRow(
            name,
            recall=_share(of, here, [one.found for one in judged]),
            hidden=_share(of, here, [one.hidden for one in judged]),
            within_reach=_share(of, here, [one.within_reach for one in judged]),
            precision=_share(of, ours, [one.true for one in judged]),
        )

    return Recall(
        all=row("all", lambda classes: np.ones(len(classes), bool)),
        by_height=tuple(row(name, lambda classes, n=n: classes == n) for n, name in enumerate(HEIGHTS)),  # type: ignore[misc]
        n_frames=len(frames),
        n_unknown=n_unknown,
        n_videos=None if n_unknown else n_videos,
        n_cities=n_cities,
        n_drawn=sum(len(frame.drawn) for frame in frames),
        n_blurred=sum(len(frame.blurred) for frame in frames),
        clusters=clusters,
    )


def _clusters(n_unknown: int, n_videos: int, n_cities: int) -> Clusters:
    if n_unknown:
        return "city" if n_cities > 1 else "none"
    return "video" if n_videos > 1 else "frame"


def _classes(boxes: Boxes) -> npt.NDArray[np.intp]:
    """(N,) place in HEIGHTS of each box."""
    return np.digitize(boxes[:, 3] - boxes[:, 1], EDGES_PX)


def _share(
    clusters: Sequence[Hashable], wanted: Sequence[npt.NDArray[np.bool_]], hit: Sequence[npt.NDArray[np.bool_]]
) -> Share:
    counts: dict[Hashable, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for cluster, mask, hits in zip(clusters, wanted, hit, strict=True):
        got, n = counts[cluster]
        counts[cluster] = (got + int((mask & hits).sum()), n + int(mask.sum()))
    return clustered_share(counts)
