"""F_t, what the text branch is to align with: one vector a city, from the names of the places it lies in (paper 4.4).

All clips of a city share it, so it is computed once per class, and kept on disk by what decides it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.atomic import write_bytes
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.types import LEVELS, Level

Strategy = Literal["all", "city"]
Vectors = npt.NDArray[np.float32]


class Named(Protocol):
    """Classes by name with their parents; classes.Classes is one."""

    @property
    def names(self) -> Mapping[Level, Sequence[str]]:
        """By label."""

    @property
    def parents(self) -> Mapping[Level, npt.NDArray[np.int32]]:
        """Of cities, states and countries: the label one level up of every label."""


class Encoder(Protocol):
    """What turns texts into vectors; text_encoders.TextEncoder is one."""

    @property
    def digest(self) -> str:
        """Changes whenever its vectors may."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, d_t) float32."""


def text_targets(classes: Named, encoder: Encoder, strategy: Strategy = "all", cache: Path | None = None) -> Vectors:
    """Text vectors of the cities, (n_cities, d_t) float32, row by city label. d_t is the encoder's.

    Args:
        strategy: `all`, the mean of the vectors of the city's, state's, country's and continent's names, each encoded
            by itself (the paper's method, and the released code's); `city`, the city's name alone.
        cache: a folder where the rows are kept; None: not kept.

    Raises:
        ValueError: another strategy, or an encoder that does not give one vector a text.
        WeightsError: the encoder cannot be loaded.
        DiskFullError: no space left for the cache.
    """
    if strategy not in ("all", "city"):
        raise ValueError(f"expected the strategy all or city, got {strategy!r}")
    levels = LEVELS if strategy == "all" else LEVELS[:1]
    if cache is None:
        return _encoded(classes, encoder, levels)
    parents = {level: parents.tolist() for level, parents in classes.parents.items()}
    names = {level: list(classes.names[level]) for level in LEVELS}
    path = cache / f"text-{fingerprint([names, parents, encoder.digest, strategy])}.npy"
    if (kept := _read(path, len(names["city"]))) is not None:
        return kept
    vectors = _encoded(classes, encoder, levels)
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    write_bytes(path, content.getvalue())
    return vectors


def as_text(name: str) -> str:
    """A class's name as an encoder reads it: `Abu_Dhabi` -> `Abu Dhabi`."""
    return " ".join(name.replace("_", " ").split())


def _encoded(classes: Named, encoder: Encoder, levels: Sequence[Level]) -> Vectors:
    texts = sorted({as_text(name) for level in levels for name in classes.names[level]})
    vectors = np.asarray(encoder.encode(texts), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise ValueError(f"expected vectors ({len(texts)}, d_t) of the encoder, got {vectors.shape}")
    row = {text: i for i, text in enumerate(texts)}
    labels: npt.NDArray[np.integer] = np.arange(len(classes.names["city"]))
    total = np.zeros((len(labels), vectors.shape[1]), np.float64)
    for level in levels:
        total += vectors[[row[as_text(classes.names[level][label])] for label in labels]]
        if level in classes.parents:
            labels = classes.parents[level][labels]
    return (total / len(levels)).astype(np.float32)


def _read(path: Path, n_cities: int) -> Vectors | None:
    """What is kept, or None where there is nothing or it is broken: it can always be computed again."""
    try:
        with path.open("rb") as f:
            kept = np.lib.format.read_array(f, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = kept.dtype == np.float32 and kept.ndim == 2 and len(kept) == n_cities
    return kept if fits else None
