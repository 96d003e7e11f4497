"""From the scores of the four heads to predictions: the paper's three evaluation modes, and the released code's fourth.

Paper, sections 4.6 and 5.6, Table 4; the released code for `trace`:

* `none`: every level by its own head.
* `independent`: Eq. 5: a class's score is its probability times those of the classes above it; every level by its own
  product.
* `codependent`: the city by its product; state, country and continent are those that the city lies in.
* `trace`: the city by its own head without products, its parents above it. The released code calls this codependent.

More than one guess (supplementary section 3, top-5). `none` and `independent` rank each level by its own scores. In the
traced modes a state, country or continent ranks by its best city: list the cities from the most to the least probable,
write down what each lies in, and strike out repetitions. The first of the list is the traced prediction, the first five
are five different places, and for every k the top-k accuracy never falls from city to state to country to continent.
The paper does not say how its top-5 was ranked; the released code ranks each level by its own head (`none`).

Ties go to the lowest label; between places ranked by their cities, to the one whose city comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

Mode = Literal["none", "independent", "codependent", "trace"]
MODES: tuple[Mode, ...] = get_args(Mode)
_WITH_PRODUCTS: tuple[Mode, ...] = ("independent", "codependent")
_TRACED: tuple[Mode, ...] = ("codependent", "trace")
LogProbs = Mapping[Level, npt.NDArray[np.floating]]
"""Log-probabilities by level, each (N, classes of that level)."""
Parents = Mapping[Level, npt.NDArray[np.integer]]
"""By level but the highest: (classes,) label one level up of every label."""
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def products(log_probs: LogProbs, parents: Parents) -> dict[Level, Floats]:
    """Eq. 5 in logarithms: each class's score plus those of the classes that it lies in.

    Args:
        log_probs: (N, C) by level.
        parents: (C,) by level.
    Returns:
        float64 (N, C) by level; the probabilities of a row do not sum to 1.
    Raises:
        ValueError: shapes that do not fit, a parent that is no label, a score that is NaN or plus infinity.
    """
    _check(log_probs, parents)
    summed: dict[Level, Floats] = {}
    above: Floats | None = None
    for level in reversed(LEVELS):
        own = np.asarray(log_probs[level], np.float64)
        above = own if above is None else own + above[:, parents[level]]
        summed[level] = above
    return summed


def scores(log_probs: LogProbs, parents: Parents, mode: Mode) -> dict[Level, Floats]:
    """What each class is ranked by in a mode.

    In the traced modes a class above the city has the score of its best city (minus infinity for a class without one).
    Two such scores may tie although their cities do not come together: `top_k` breaks these ties as `predict` does.

    Args:
        log_probs, parents: as for `products`.
    Returns:
        float64 (N, C) by level, logarithms.
    Raises:
        ValueError: as `products`, or no such mode.
    """
    ranked = _before_tracing(log_probs, parents, mode)
    if mode not in _TRACED:
        return ranked
    return {
        level: _best_city(ranked["city"], place_of_city, ranked[level].shape[1])
        for level, place_of_city in _places_of_cities(parents).items()
    }


def top_k(log_probs: LogProbs, parents: Parents, mode: Mode, k: int) -> dict[Level, Ints]:
    """The `k` best classes of every level, the best first.

    Args:
        log_probs, parents: as for `products`.
        k: 1 or more.
    Returns:
        int64 (N, k) labels by level; fewer columns at a level of fewer classes.
    Raises:
        ValueError: as `products`; in a traced mode also a class without a city.
    """
    if k < 1:
        raise ValueError(f"expected k of 1 or more, got {k}")
    ranked = _before_tracing(log_probs, parents, mode)
    if mode not in _TRACED:
        return {level: _descending(ranked[level])[:, :k] for level in LEVELS}
    order = _descending(ranked["city"])
    place_in_order = np.empty_like(order)  # (N, cities): 0 for the most probable city
    np.put_along_axis(place_in_order, order, np.arange(order.shape[1])[None], axis=1)
    top: dict[Level, Ints] = {}
    for level, place_of_city in _places_of_cities(parents).items():
        n_classes = ranked[level].shape[1]
        if childless := sorted(set(range(n_classes)) - set(place_of_city.tolist())):
            raise ValueError(f"{level} label {childless[0]} has no city, so it has no rank")
        # -place: the best city is the maximum, and no two classes share it, so nothing ties any more.
        top[level] = _descending(_best_city(-place_in_order.astype(np.float64), place_of_city, n_classes))[:, :k]
    return top


def predict(log_probs: LogProbs, parents: Parents, mode: Mode) -> dict[Level, Ints]:
    """The predicted label of every level.

    Args:
        log_probs, parents: as for `products`.
    Returns:
        int64 (N,) by level.
    Raises:
        ValueError: as `products`, or no such mode.
    """
    ranked = _before_tracing(log_probs, parents, mode)
    if mode not in _TRACED:
        return {level: np.argmax(ranked[level], axis=1) for level in LEVELS}
    city = np.argmax(ranked["city"], axis=1)
    return {level: place_of_city[city] for level, place_of_city in _places_of_cities(parents).items()}


def _before_tracing(log_probs: LogProbs, parents: Parents, mode: Mode) -> dict[Level, Floats]:
    """(N, C) by level: products or the heads' own scores; in the traced modes only those of cities count."""
    if mode not in MODES:
        raise ValueError(f"expected a mode of {', '.join(MODES)}, got {mode!r}")
    if mode in _WITH_PRODUCTS:
        return products(log_probs, parents)
    _check(log_probs, parents)
    return {level: np.asarray(log_probs[level], np.float64) for level in LEVELS}


def _places_of_cities(parents: Parents) -> dict[Level, Ints]:
    """(cities,) by level: the label of what every city lies in; at the level of cities the city itself."""
    places: dict[Level, Ints] = {"city": np.arange(len(parents["city"]))}
    for level, upper in pairwise(LEVELS):
        places[upper] = np.asarray(parents[level], np.int64)[places[level]]
    return places


def _best_city(city_scores: Floats, place_of_city: Ints, n_classes: int) -> Floats:
    """(N, n_classes) the highest score of the cities of every class."""
    best = np.full((len(city_scores), n_classes), -np.inf)
    for label in np.unique(place_of_city):
        best[:, label] = city_scores[:, place_of_city == label].max(axis=1)
    return best


def _descending(ranked: Floats) -> Ints:
    """(N, C) labels from the highest score to the lowest; of equal ones the lowest label first."""
    return np.argsort(-ranked, axis=1, kind="stable")


def _check(log_probs: LogProbs, parents: Parents) -> None:
    n = len(log_probs["city"])
    for level in LEVELS:
        shape = np.shape(log_probs[level])
        if len(shape) != 2 or shape[0] != n or shape[1] < 1:
            raise ValueError(f"expected {level} scores of shape ({n}, classes), got {shape}")
        if not (np.asarray(log_probs[level]) < np.inf).all():
            raise ValueError(f"a {level} score is NaN or infinity")
    for level, upper in pairwise(LEVELS):
        n_classes, n_above = np.shape(log_probs[level])[1], np.shape(log_probs[upper])[1]
        labels = np.asarray(parents[level])
        if labels.shape != (n_classes,):
            raise ValueError(f"expected {n_classes} parents of level {level}, one a class, got shape {labels.shape}")
        if labels.min() < 0 or labels.max() >= n_above:
            raise ValueError(f"expected parents of level {level} of 0 to {n_above - 1}, one is outside")
