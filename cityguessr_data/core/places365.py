"""From the 365 categories of Places365 to a clip's scene: the 16 classes, soft labels and the majority class.

"Each value of class can be represented as the percentage of frames in the video that belong to a certain class" (paper,
section 4.3). 63 of the categories belong to several classes, and the paper does not say how they count: see `Parents`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import MachineError
from .manifests import manifest_path

N_CATEGORIES = 365

SCENE_CLASSES: tuple[str, ...] = (
    "shopping_dining",
    "workplace",
    "home_hotel",
    "indoor_transport",
    "indoor_sports",
    "indoor_culture",
    "water_ice_snow",
    "mountains_desert_sky",
    "forest_field",
    "manmade_elements",
    "outdoor_transport",
    "historic_building",
    "sports_parks",
    "industrial_construction",
    "houses_gardens_farms",
    "commercial_city",
)
"""Short names of the 16 classes, in the order of `scene_soft`; manifests/places365/classes.csv has the full ones."""

Parents = Literal["split", "first"]
"""How a category of n classes counts: `split` gives each 1/n of its frame, `first` all of it to the first in order."""

_TWELFTHS = 12  # 1, 2, 3 and 4 divide it: shares in whole twelfths add up exactly, and equal shares compare as equal


@dataclass(frozen=True)
class Category:
    """One Places365 category."""

    index: int
    """0-364, the model's output."""
    name: str
    """As Places365 writes it, e.g. `/a/airport_terminal`."""
    indoor: bool
    classes: tuple[int, ...]
    """Its classes, 1 to 4 of 0-15, ascending."""


@cache
def categories() -> tuple[Category, ...]:
    """The 365 categories in the order of the models' outputs.

    Raises:
        MachineError: the list is missing from the installation, or is not the one this code was written for.
    """
    path = manifest_path("places365/categories.csv")
    with path.open(newline="", encoding="utf-8") as f:
        header, *rows = csv.reader(f)
    if tuple(header) != ("index", "category", "indoor_outdoor", *SCENE_CLASSES) or len(rows) != N_CATEGORIES:
        raise MachineError(f"{path} is not the list of the 365 categories", "Reinstall cgtool with pip")
    return tuple(
        Category(
            index=int(row[0]),
            name=row[1],
            indoor=row[2] == "1",
            classes=tuple(i for i, flag in enumerate(row[3:]) if flag == "1"),
        )
        for row in rows
    )


def membership(parents: Parents = "split") -> npt.NDArray[np.float32]:
    """How a frame of each category counts for each class: float32 (365, 16), rows sum to 1."""
    shares: npt.NDArray[np.float32] = (_membership_twelfths(parents) / _TWELFTHS).astype(np.float32)
    return shares


def soft_label(top1: Sequence[int] | npt.NDArray[np.integer], parents: Parents = "split") -> npt.NDArray[np.float32]:
    """The clip's soft label over the 16 classes: the share of its frames that belong to each (paper, section 4.3).

    Args:
        top1: (T,) the most probable category of each frame, 0-364.
    Returns:
        float32 (16,), sums to 1.
    Raises:
        ValueError: no frames, or a category outside 0-364.
    """
    counts = _category_counts(top1)
    twelfths = counts @ _membership_twelfths(parents)
    shares: npt.NDArray[np.float32] = (twelfths / (_TWELFTHS * counts.sum())).astype(np.float32)
    return shares


def soft_label_365(top1: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """The soft label over the 365 categories, from `scene_top1` of a clip's rows of the frames table.

    Args:
        top1: (T,) the most probable category of each frame, 0-364.
    Returns:
        float32 (365,), sums to 1.
    Raises:
        ValueError: no frames, or a category outside 0-364.
    """
    counts = _category_counts(top1)
    shares: npt.NDArray[np.float32] = (counts / counts.sum()).astype(np.float32)
    return shares


def majority(soft16: Sequence[float] | npt.NDArray[np.floating]) -> int:
    """The class with the largest share; of equal ones the lowest index.

    Raises:
        ValueError: not 16 shares.
    """
    shares = np.asarray(soft16)
    if shares.shape != (len(SCENE_CLASSES),):
        raise ValueError(f"expected {len(SCENE_CLASSES)} shares, got {shares.shape}")
    return int(np.argmax(shares))


@cache
def _membership_twelfths(parents: Parents) -> npt.NDArray[np.int64]:
    if parents not in get_args(Parents):
        raise ValueError(f"expected one of {', '.join(get_args(Parents))}, got {parents!r}")
    twelfths = np.zeros((N_CATEGORIES, len(SCENE_CLASSES)), dtype=np.int64)
    for category in categories():
        counted = category.classes if parents == "split" else category.classes[:1]
        twelfths[category.index, list(counted)] = _TWELFTHS // len(counted)
    twelfths.flags.writeable = False  # it is cached: nobody may change it
    return twelfths


def _category_counts(top1: Sequence[int] | npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    indices = np.asarray(top1)
    if indices.ndim != 1 or indices.size == 0 or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError("expected the categories of one frame or more, as whole numbers without gaps")
    if indices.min() < 0 or indices.max() >= N_CATEGORIES:
        raise ValueError(f"expected categories 0-{N_CATEGORIES - 1}, got {indices.min()} to {indices.max()}")
    return np.bincount(indices, minlength=N_CATEGORIES)
